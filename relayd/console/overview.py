"""The overview: what an account has spent and asked for lately, and how its calls went."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec
from aiohttp import web

from relayd.console.amount import axis_money, money, share, short, took
from relayd.console.page import page, reply
from relayd.console.period import SpanQuery, span_links
from relayd.console.plot import Band
from relayd.console.plotted import Measure, Plotted, by_name, plotted
from relayd.console.route import HOLDER, Route
from relayd.console.series import Used, spent_in, used
from relayd.console.visit import Visit
from relayd.control import call, series
from relayd.core.call import CallSearch, Figures
from relayd.core.rollup import Sums
from relayd.core.series import NO_SUMS, Line, Period, Point, filled, lines, period, plus

CALLS: Final = Measure(lambda sums: sums.calls, short, "{:,}".format)
TOKENS: Final = Measure(lambda sums: sums.input_tokens + sums.output_tokens, short, "{:,}".format)


class Outline(msgspec.Struct, frozen=True):
    """The overview as programs read it. Figures are of the latest `looked_at` calls."""

    span: str
    used: list[Used]
    looked_at: int
    failed: int
    refused: int
    first_byte_p50_ms: float | None
    first_byte_p95_ms: float | None


class Card(NamedTuple):
    """A figure, and one more line below it."""

    name: str
    value: str
    more: str = ""


async def show(visit: Visit) -> web.Response:
    """The page."""
    span = visit.ask(SpanQuery).span
    wanted = period(span, visit.now_ms)
    points = await series.points(visit.db, visit.account, wanted, "model")
    figures = await _figures(visit, wanted)
    return page(
        visit, "use/overview.html", cards=_cards(visit, points, figures),
        plots=_plots(visit, points, wanted) if points else [],
        links=span_links(visit, "/overview", span), figures=figures)


async def give(visit: Visit) -> web.Response:
    """The same as JSON."""
    span = visit.ask(SpanQuery).span
    wanted = period(span, visit.now_ms)
    points = await series.points(visit.db, visit.account, wanted)
    figures = await _figures(visit, wanted)
    return reply(Outline(span, [used(line) for line in lines(points)], *figures))


async def _figures(visit: Visit, wanted: Period) -> Figures:
    return await call.how_they_went(
        visit.db, CallSearch(visit.account, wanted.since_ms, wanted.until_ms))


def _cards(visit: Visit, points: list[Point], figures: Figures) -> list[Card]:
    by_currency = lines(point._replace(name="") for point in points)
    total = NO_SUMS
    for line in by_currency:
        total = plus(total, line.sums)
    currencies = spent_in(points)
    spent = [money(line.sums.amount_nano, line.currency) for line in by_currency
             if line.currency in currencies] or ["0"]
    return [
        Card(visit.t("overview.spent"), spent[0], " + ".join(spent[1:])),
        Card(visit.t("overview.calls"), f"{total.calls:,}"),
        Card(visit.t("overview.tokens"), short(total.input_tokens + total.output_tokens),
             visit.t("overview.in_and_out", input=f"{total.input_tokens:,}",
                     output=f"{total.output_tokens:,}")),
        Card(visit.t("overview.failed"), share(figures.failed, figures.of),
             visit.t("overview.of_calls", failed=f"{figures.failed:,}", of=f"{figures.of:,}")),
        Card(visit.t("overview.first_byte"), took(figures.first_byte_p50_ms),
             visit.t("overview.p95", time=took(figures.first_byte_p95_ms))),
    ]


def _plots(visit: Visit, points: list[Point], wanted: Period) -> list[Plotted]:
    names, others = {"": visit.t("series.no_model")}, visit.t("series.others")
    plots = []
    order = list(dict.fromkeys(line.name for line in lines(points)))
    for currency in dict.fromkeys(line.currency for line in _dear(points)):
        measure = Measure(lambda sums: sums.amount_nano, axis_money,
                          lambda nano, of=currency: money(nano, of))  # type: ignore[misc]
        mine = [point for point in points if point.currency == currency]
        plots.append(plotted(visit.t("overview.plot_spent", currency=currency), wanted,
                             by_name(mine, wanted, measure, names, others, order), measure))
    plots.append(plotted(visit.t("overview.plot_calls"), wanted,
                         by_name(points, wanted, CALLS, names, others, order), CALLS))
    plots.append(plotted(visit.t("overview.plot_tokens"), wanted,
                         _in_and_out(visit, points, wanted), TOKENS))
    return plots


def _dear(points: list[Point]) -> list[Line]:
    return [line for line in lines(points) if line.sums.amount_nano]


def _in_and_out(visit: Visit, points: list[Point], wanted: Period) -> list[Band]:
    steps: list[Sums] = [sums for _, sums in filled(points, wanted)]
    return [
        Band(visit.t("overview.input"), [sums.input_tokens for sums in steps]),
        Band(visit.t("overview.output"), [sums.output_tokens for sums in steps]),
    ]


ROUTES: Final = (
    Route("GET", "/overview", show, HOLDER, "What was used lately.", asks=SpanQuery),
    Route("GET", "/api/v1/overview", give, HOLDER,
          "What was used in a span of time, and how the latest calls went.",
          asks=SpanQuery, gives=Outline),
)
