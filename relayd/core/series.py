"""Series: what an account used, step by step over a period, and by what it can be told apart.

Law: a series is made of whole hours of the rollups, so it agrees with them; its steps are hours or
UTC days, and a step without calls is there with nothing in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import add
from typing import Final, Literal, NamedTuple

from relayd.core.rollup import Sums, hour_of
from relayd.core.timestamp import DAY_MS, HOUR_MS


Span = Literal["24h", "7d", "30d", "90d"]
SPANS: Final[tuple[Span, ...]] = ("24h", "7d", "30d", "90d")
_STEPS: Final[dict[Span, tuple[int, int]]] = {
    "24h": (HOUR_MS, 24), "7d": (DAY_MS, 7), "30d": (DAY_MS, 30), "90d": (DAY_MS, 90)}

Dimension = Literal["model", "key", "app", "provider"]

NO_SUMS: Final = Sums(*(0,) * len(Sums._fields))


class Period(NamedTuple):
    """Whole steps: [since_ms, until_ms), the last of which holds the present."""

    since_ms: int
    until_ms: int
    step_ms: int

    @property
    def steps(self) -> range:
        """The start of each step."""
        return range(self.since_ms, self.until_ms, self.step_ms)


class Point(NamedTuple):
    """The sums of one step, of one currency and one value of the dimension ('' without any)."""

    at_ms: int
    name: str
    currency: str
    sums: Sums


class Line(NamedTuple):
    """All of a period that has one name and one currency."""

    name: str
    currency: str
    sums: Sums


def period(span: Span, now_ms: int) -> Period:
    """The period of so long that ends with the hour or the UTC day of now."""
    step_ms, steps = _STEPS[span]
    start_ms = hour_of(now_ms) if step_ms == HOUR_MS else now_ms - now_ms % DAY_MS
    until_ms = start_ms + step_ms
    return Period(max(0, until_ms - steps * step_ms), until_ms, step_ms)


def plus(left: Sums, right: Sums) -> Sums:
    """Both together, field by field."""
    return Sums(*map(add, left, right))


def lines(points: Iterable[Point]) -> list[Line]:
    """Points added up over time; what used most comes first: by amount, then by calls."""
    found: dict[tuple[str, str], Sums] = {}
    for point in points:
        key = point.name, point.currency
        found[key] = plus(found.get(key, NO_SUMS), point.sums)
    return sorted((Line(name, currency, sums) for (name, currency), sums in found.items()),
                  key=lambda line: (-line.sums.amount_nano, -line.sums.calls, line.name))


def renamed(points: Iterable[Point], names: dict[str, str]) -> list[Point]:
    """The same under other names, for example a key's application label for its id."""
    return [point._replace(name=names.get(point.name, "")) for point in points]


def filled(points: Sequence[Point], wanted: Period) -> list[tuple[int, Sums]]:
    """Every step of a period with the sums of its points, whatever their names."""
    found = dict.fromkeys(wanted.steps, NO_SUMS)
    for point in points:
        if point.at_ms in found:
            found[point.at_ms] = plus(found[point.at_ms], point.sums)
    return list(found.items())
