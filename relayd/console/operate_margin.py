"""Revenue, cost and margin, for who minds the money: by model, provider and day, with plots.

Law: revenue adds up to the rollups; cost is the price file's price without a markup. What has no
price is counted and told, not guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec
from aiohttp import web

from relayd.console.amount import axis_money, money
from relayd.console.page import page, reply
from relayd.console.period import Link
from relayd.console.plot import Band, folded
from relayd.console.plotted import Measure, Plotted, plotted
from relayd.console.route import Route, operators
from relayd.console.visit import Visit
from relayd.console.wallet import signed_decimal
from relayd.control import margin
from relayd.core.margin import Margin, MarginKey
from relayd.core.money import decimal
from relayd.core.series import Period, period
from relayd.core.timestamp import rfc3339

SEE: Final = operators("finance", "owner")
Days = Literal["7d", "30d", "90d"]
By = Literal["model", "provider", "day"]
DAYS: Final[tuple[Days, ...]] = ("7d", "30d", "90d")
BY: Final[tuple[By, ...]] = ("model", "provider", "day")
_FIELD: Final[dict[By, str]] = {"model": "model", "provider": "provider", "day": "day_ms"}


class MarginQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of which days, and by what."""

    span: Days = "30d"
    by: By = "model"


class MarginLine(msgspec.Struct, frozen=True):
    """What calls brought in, what they cost, and what is left, as decimal texts. `unpriced`: calls
    whose cost is not known and not in it."""

    name: str
    currency: str
    calls: int
    revenue: str
    cost: str
    margin: str
    unpriced: int


class Margins(msgspec.Struct, frozen=True):
    """The lines of whole UTC days from `since` to before `until`."""

    since: str
    until: str
    by: By
    lines: list[MarginLine]


def _named(by: By, name: str) -> str:
    return rfc3339(int(name))[:10] if by == "day" else name


def _line(by: By, name: str, currency: str, found: Margin) -> MarginLine:
    return MarginLine(
        _named(by, name), currency, found.calls, decimal(found.revenue_nano, 2),
        decimal(found.cost_nano, 2), signed_decimal(found.left_nano), found.unpriced)


async def _read(visit: Visit) -> tuple[Period, margin.Reading]:
    wanted = period(visit.ask(MarginQuery).span, visit.now_ms)
    return wanted, await margin.read(
        visit.db, visit.services.config().prices, wanted.since_ms, visit.now_ms)


def _steps(
    sums: Mapping[MarginKey, Margin], wanted: Period, name: str | None, by: By
) -> list[Margin]:
    """A margin for each day, of one name or of all."""
    found = dict.fromkeys(wanted.steps, Margin())
    for key, each in sums.items():
        if name is None or getattr(key, _FIELD[by]) == name:
            found[key.day_ms] = found[key.day_ms].plus(each)
    return list(found.values())


def _result(visit: Visit, days: list[Margin]) -> list[Band]:
    """Cost and margin stacked: together they are the revenue; a loss stands on top of it."""
    bands = [
        Band(visit.t("margins.cost"), [min(day.cost_nano, day.revenue_nano) for day in days]),
        Band(visit.t("margins.margin"), [max(0, day.left_nano) for day in days]),
        Band(visit.t("margins.loss"), [max(0, -day.left_nano) for day in days])]
    return [band for band in bands if any(band.values)] or bands[:1]


def _measure(currency: str) -> Measure:
    return Measure(lambda sums: sums.amount_nano, axis_money, lambda nano: money(nano, currency))


def _plots(visit: Visit, sums: Mapping[MarginKey, Margin], wanted: Period) -> list[Plotted]:
    """For each currency: what became of the revenue, and the revenue by name."""
    by = visit.ask(MarginQuery).by
    plots = []
    for currency in sorted({key.currency for key in sums}):
        mine = {key: each for key, each in sums.items() if key.currency == currency}
        measure = _measure(currency)
        plots.append(plotted(visit.t("margins.plot", currency=currency), wanted,
                             _result(visit, _steps(mine, wanted, None, by)), measure))
        if by == "day":
            continue
        bands = [Band(name or visit.t(f"series.no_{by}"),
                      [day.revenue_nano for day in _steps(mine, wanted, name, by)])
                 for name, _ in margin.by(mine, _FIELD[by])]
        plots.append(plotted(visit.t(f"margins.plot_{by}", currency=currency), wanted,
                             folded(bands, visit.t("series.others")), measure))
    return plots


def _links(visit: Visit) -> tuple[list[Link], list[Link]]:
    asked = visit.ask(MarginQuery)
    return ([Link(f"/operate/margin?span={span}&by={asked.by}", visit.t(f"period.{span}"),
                  span == asked.span) for span in DAYS],
            [Link(f"/operate/margin?span={asked.span}&by={by}", visit.t(f"margins.by_{by}"),
                  by == asked.by) for by in BY])


def _totals(sums: Mapping[MarginKey, Margin]) -> list[tuple[str, Margin]]:
    found: dict[str, Margin] = {}
    for key, each in sums.items():
        found[key.currency] = found.get(key.currency, Margin()).plus(each)
    return sorted(found.items())


async def show(visit: Visit) -> web.Response:
    """The page."""
    by = visit.ask(MarginQuery).by
    wanted, found = await _read(visit)
    rows = [(_named(by, name), currency, each)
            for (name, currency), each in margin.by(found.sums, _FIELD[by]).items()]
    spans, dimensions = _links(visit)
    return page(visit, "money/margins.html", asked=visit.ask(MarginQuery), rows=rows,
                totals=_totals(found.sums), plots=_plots(visit, found.sums, wanted),
                spans=spans, dimensions=dimensions, today=found.until_ms >= wanted.until_ms)


async def give(visit: Visit) -> web.Response:
    """The same for programs."""
    by = visit.ask(MarginQuery).by
    wanted, found = await _read(visit)
    return reply(Margins(rfc3339(wanted.since_ms), rfc3339(found.until_ms), by, [
        _line(by, name, currency, each)
        for (name, currency), each in margin.by(found.sums, _FIELD[by]).items()]))


ROUTES: Final = (
    Route("GET", "/operate/margin", show, SEE, "Revenue, cost and margin", asks=MarginQuery),
    Route("GET", "/api/v1/operate/margin", give, SEE,
          "Revenue, cost and margin by model, provider or day", asks=MarginQuery, gives=Margins),
)
