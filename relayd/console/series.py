"""Usage: what an account used by day, model, key, application or provider; as pages and files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from relayd.console.amount import axis_money, money, short
from relayd.console.export import Format, csv_bytes, download
from relayd.console.page import page, reply
from relayd.console.period import Link, span_links
from relayd.console.plotted import Measure, Plotted, by_name, plotted
from relayd.console.route import HOLDER, Route
from relayd.console.visit import Visit
from relayd.control import key, series
from relayd.core.money import decimal
from relayd.core.rollup import Sums
from relayd.core.series import Dimension, Line, Period, Point, Span, lines, period
from relayd.core.timestamp import rfc3339

Shown = Literal["amount", "calls", "tokens"]
SHOWN: Final[tuple[Shown, ...]] = ("amount", "calls", "tokens")
By = Literal["model", "key", "app", "provider", "time"]
BY: Final[tuple[By, ...]] = ("model", "key", "app", "provider", "time")


class Used(msgspec.Struct, frozen=True):
    """What was used under one name in one currency; the amount is a decimal text."""

    name: str
    currency: str
    calls: int
    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    cache_creation_input_tokens: int
    reasoning_output_tokens: int
    audio_input_tokens: int
    audio_output_tokens: int
    amount: str


class UsedAt(Used, frozen=True):
    """The same in one step of time."""

    at: str


class Series(msgspec.Struct, frozen=True):
    """A series as programs read it: sums over the whole span, and step by step."""

    span: Span
    by: By
    since: str
    until: str
    sums: list[Used]
    steps: list[UsedAt]


class SeriesQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is asked for."""

    span: Span = "7d"
    by: By = "model"
    show: Shown = "amount"


class FileQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a file is asked for."""

    span: Span = "30d"
    by: By = "model"
    format: Format = "csv"


class StepsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a program asks for."""

    span: Span = "7d"
    by: By = "model"


def used(line: Line) -> Used:
    """A line for programs."""
    return Used(name=line.name, currency=line.currency,
                amount=decimal(line.sums.amount_nano, 2), **_counts(line.sums))


def used_at(point: Point) -> UsedAt:
    """A point for programs."""
    return UsedAt(name=point.name, currency=point.currency, at=rfc3339(point.at_ms),
                  amount=decimal(point.sums.amount_nano, 2), **_counts(point.sums))


def _counts(sums: Sums) -> dict[str, int]:
    counts = sums._asdict()
    del counts["amount_nano"]
    return counts


def _dimension(by: By) -> Dimension | None:
    return None if by == "time" else by


async def _points(visit: Visit, wanted: Period, by: By) -> list[Point]:
    return await series.points(visit.db, visit.account, wanted, _dimension(by))


async def _names(visit: Visit, by: By, points: list[Point]) -> dict[str, str]:
    """Names as people know them, where they differ from what is stored."""
    if by == "key":
        keys = await key.some(visit.db, visit.account, {point.name for point in points})
        return {each.id: f"{each.name} ({each.hint[-7:]})" for each in keys}
    if by == "time":
        return {"": visit.t("series.all")}
    return {"": visit.t(f"series.no_{by}")}


async def show(visit: Visit) -> web.Response:
    """The page: a plot, and a table of the same."""
    asked = visit.ask(SeriesQuery)
    wanted = period(asked.span, visit.now_ms)
    points = await _points(visit, wanted, asked.by)
    names = await _names(visit, asked.by, points)
    files = [(f"/usage/export?{urlencode({'span': asked.span, 'by': asked.by, 'format': kind})}",
              kind.upper()) for kind in ("csv", "json")]
    return page(
        visit, "use/usage.html", asked=asked, plots=_plots(visit, points, wanted, names),
        rows=_rows(points, names, by_time=asked.by == "time"), files=files,
        spans=span_links(visit, "/usage", asked.span, by=asked.by, show=asked.show),
        dimensions=_links(visit, asked, "by", BY), measures=_links(visit, asked, "show", SHOWN))


def _links(visit: Visit, asked: SeriesQuery, name: str, values: tuple[str, ...]) -> list[Link]:
    query = {"span": asked.span, "by": asked.by, "show": asked.show}
    chosen = query[name]
    return [Link(f"/usage?{urlencode({**query, name: value})}",
                 visit.t(f"series.{name}_{value}"), value == chosen) for value in values]


def _measure(show: Shown, currency: str) -> Measure:
    if show == "amount":
        return Measure(lambda sums: sums.amount_nano, axis_money,
                       lambda nano: money(nano, currency))
    if show == "calls":
        return Measure(lambda sums: sums.calls, short, "{:,}".format)
    return Measure(lambda sums: sums.input_tokens + sums.output_tokens, short, "{:,}".format)


def spent_in(points: Iterable[Point]) -> list[str]:
    """The currencies of amounts that are something; where none is, the first one."""
    currencies = sorted({point.currency for point in points if point.sums.amount_nano})
    return currencies or sorted({point.currency for point in points})[:1]


def _plots(
    visit: Visit, points: list[Point], wanted: Period, names: Mapping[str, str]
) -> list[Plotted]:
    """One plot, or one for each currency where amounts are shown."""
    if not points:
        return []
    show = visit.ask(SeriesQuery).show
    others = visit.t("series.others")
    if show != "amount":
        measure = _measure(show, "")
        return [plotted(visit.t(f"series.show_{show}"), wanted,
                        by_name(points, wanted, measure, names, others), measure)]
    found = []
    for currency in spent_in(points):
        measure = _measure(show, currency)
        mine = [point for point in points if point.currency == currency]
        found.append(plotted(visit.t("series.plot_amount", currency=currency), wanted,
                             by_name(mine, wanted, measure, names, others), measure))
    return found


def _rows(
    points: list[Point], names: Mapping[str, str], *, by_time: bool
) -> list[tuple[str, Line]]:
    if not by_time:
        return [(names.get(line.name, line.name), line) for line in lines(points)]
    return [(rfc3339(point.at_ms)[:16].replace("T", " "),
             Line(point.name, point.currency, point.sums)) for point in reversed(points)]


async def export(visit: Visit) -> web.Response:
    """The steps as a file."""
    asked = visit.ask(FileQuery)
    points = await _points(visit, period(asked.span, visit.now_ms), asked.by)
    rows = [used_at(point) for point in points]
    name = f"usage-{asked.by}-{asked.span}.{asked.format}"
    if asked.format == "json":
        return download(name, msgspec.json.encode(rows), "application/json")
    return download(name, csv_bytes(UsedAt, rows), "text/csv")


async def give(visit: Visit) -> web.Response:
    """The series as JSON."""
    asked = visit.ask(StepsQuery)
    wanted = period(asked.span, visit.now_ms)
    points = await _points(visit, wanted, asked.by)
    return reply(Series(
        asked.span, asked.by, rfc3339(wanted.since_ms), rfc3339(wanted.until_ms),
        [used(line) for line in lines(points)], [used_at(point) for point in points]))


ROUTES: Final = (
    Route("GET", "/usage", show, HOLDER, "What was used, by one thing or another.",
          asks=SeriesQuery),
    Route("GET", "/usage/export", export, HOLDER, "The same as a file.", asks=FileQuery),
    Route("GET", "/api/v1/usage", give, HOLDER,
          "What was used, step by step: by model, key, application, provider, or in all.",
          asks=StepsQuery, gives=Series),
)
