"""Plots as SVG, drawn on the server: columns over time, stacked from a few bands.

Law: pure. Whole numbers in, markup out; colours are classes of the stylesheet, so that a plot
follows the theme and needs no style of its own. Every page that shows a plot shows its table too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from markupsafe import Markup, escape

WIDTH: Final = 760
HEIGHT: Final = 220
LEFT: Final = 74
"""At least: beside long values there is more room."""
RIGHT: Final = 8
TOP: Final = 10
BOTTOM: Final = 26
BANDS_MAX: Final = 6
"""Colours that there are; what is more is put together (`folded`)."""
_LABELS_MAX: Final = 8
_GRID_LINES: Final = 4
_GAP: Final = 0.24
_GLYPH: Final = 7.5
"""About the width of a digit, wide enough for any font."""

Show = Callable[[int], str]


class Band(NamedTuple):
    """One colour: a name, and its value (>= 0) at each step."""

    name: str
    values: Sequence[int]


def folded(bands: Sequence[Band], others: str) -> list[Band]:
    """At most BANDS_MAX bands: the first ones, and what is left as one under a name of its own."""
    if len(bands) <= BANDS_MAX:
        return list(bands)
    rest = zip(*(band.values for band in bands[BANDS_MAX - 1:]), strict=True)
    return [*bands[:BANDS_MAX - 1], Band(others, [sum(values) for values in rest])]


def scale(most: int) -> tuple[int, int]:
    """(top, step) of an axis for values up to `most`: steps of 1, 2 or 5 times a power of ten."""
    step = 1
    while True:
        for factor in (1, 2, 5):
            if factor * step * _GRID_LINES >= most:
                found = factor * step
                return max(1, -(-most // found)) * found, found
        step *= 10


def columns(title: str, labels: Sequence[str], bands: Sequence[Band], show: Show) -> Markup:
    """A plot with one column for each label. `show` writes a value; titles are for pointers."""
    totals = [sum(values) for values in zip(*(band.values for band in bands), strict=True)]
    totals = totals or [0] * len(labels)
    most = max(totals, default=0)
    top, step = scale(most)
    marks = {value: show(value) for value in range(0, top + 1 if most else 1, step)}
    left = max(LEFT, round(8 + _GLYPH * max(map(len, marks.values()))))
    parts = [_axis(marks, top, left), _labels(labels, left)]
    wide = (WIDTH - left - RIGHT) / max(1, len(labels))
    for n, label in enumerate(labels):
        shown = [(band.name, show(band.values[n])) for band in bands if band.values[n]]
        words = [f"{label}: {show(totals[n])}"]
        if len(bands) > 1:
            words += [f"{name}: {value}" for name, value in shown]
        parts.append(_column(left + n * wide, wide, [band.values[n] for band in bands], top,
                             "\n".join(words)))
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, HEIGHT, title, Markup("").join(parts))


def _height(value: int, top: int) -> float:
    return value * (HEIGHT - TOP - BOTTOM) / top


def _axis(marks: Mapping[int, str], top: int, left: int) -> Markup:
    parts = []
    for value, words in marks.items():
        y = round(HEIGHT - BOTTOM - _height(value, top), 1)
        kind = "grid" if value else "axis"
        parts.append(Markup(
            '<line class="{}" x1="{}" x2="{}" y1="{}" y2="{}"/>'
            '<text x="{}" y="{}" text-anchor="end">{}</text>').format(
                kind, left, WIDTH - RIGHT, y, y, left - 8, round(y + 4, 1), words))
    return Markup("").join(parts)


def _labels(labels: Sequence[str], left: int) -> Markup:
    """Names of some steps, as many as there is room for, the last one among them."""
    wide = (WIDTH - left - RIGHT) / max(1, len(labels))
    every = max(1, -(-len(labels) // _LABELS_MAX))
    parts = [
        Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(
            round(left + (n + 0.5) * wide, 1), HEIGHT - 8, label)
        for n, label in enumerate(labels) if (len(labels) - 1 - n) % every == 0]
    return Markup("").join(parts)


def _column(x: float, wide: float, values: Sequence[int], top: int, words: str) -> Markup:
    parts = []
    y = float(HEIGHT - BOTTOM)
    for n, value in enumerate(values):
        height = _height(value, top)
        y -= height
        if value:
            parts.append(Markup(
                '<rect class="s{}" x="{}" y="{}" width="{}" height="{}"/>').format(
                    n, round(x + wide * _GAP / 2, 1), round(y, 1),
                    round(wide * (1 - _GAP), 1), max(0.5, round(height, 1))))
    hit = Markup('<rect class="hit" x="{}" y="{}" width="{}" height="{}"/>').format(
        round(x, 1), TOP, round(wide, 1), HEIGHT - TOP - BOTTOM)
    return Markup('<g class="step"><title>{}</title>{}{}</g>').format(
        escape(words), Markup("").join(parts), hit)
