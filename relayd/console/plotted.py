"""A plot with its legend and its table, from the points of a series."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup

from relayd.console.plot import Band, Show, columns, folded
from relayd.core.rollup import Sums
from relayd.core.series import Period, Point
from relayd.core.timestamp import HOUR_MS, rfc3339


class Plotted(NamedTuple):
    """What the template shows: `rows` are a step's label and the value of each name."""

    title: str
    svg: Markup
    names: list[str]
    rows: list[tuple[str, list[str]]]


class Measure(NamedTuple):
    """What is drawn of the sums, and how it is written beside the axis and in the table."""

    of: Callable[[Sums], int]
    axis: Show
    cell: Show


def step_label(at_ms: int, step_ms: int) -> str:
    """`14:00` of an hour, `11-29` of a day."""
    text = rfc3339(at_ms)
    return text[11:16] if step_ms == HOUR_MS else text[5:10]


def by_name(
    points: Sequence[Point], wanted: Period, measure: Measure, names: Mapping[str, str],
    others: str, order: Sequence[str] = (),
) -> list[Band]:
    """A band for each name, those of `order` first, as they stand there, so that they have one
    colour in all plots of a page; then the largest. `names` are the names as people know them."""
    places = {at_ms: n for n, at_ms in enumerate(wanted.steps)}
    found: dict[str, list[int]] = {}
    for point in points:
        values = found.setdefault(point.name, [0] * len(places))
        if point.at_ms in places:
            values[places[point.at_ms]] += measure.of(point.sums)
    ranks = {name: n for n, name in enumerate(order)}
    ranked = sorted((ranks.get(name, len(ranks)), -sum(values), names.get(name, name), name)
                    for name, values in found.items() if any(values))
    return folded([Band(shown, found[name]) for *_, shown, name in ranked], others)


def plotted(title: str, wanted: Period, bands: Sequence[Band], measure: Measure) -> Plotted:
    """The plot of these bands over the period."""
    labels = [step_label(at_ms, wanted.step_ms) for at_ms in wanted.steps]
    long_labels = [rfc3339(at_ms)[:16].replace("T", " ") if wanted.step_ms == HOUR_MS
                   else rfc3339(at_ms)[:10] for at_ms in wanted.steps]
    rows = [
        (label, [measure.cell(band.values[n]) for band in bands])
        for n, label in enumerate(long_labels)]
    return Plotted(title, columns(title, labels, bands, measure.axis),
                   [band.name for band in bands], rows[::-1])
