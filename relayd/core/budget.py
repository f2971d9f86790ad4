"""Budgets: what was spent in the present day and month, both of UTC.

Law: what was spent is what the store's sums say, and what was settled here and is not in them yet.
A call counts for the day and the month in which it started, as its record does. Amounts are
nano-units; those of several currencies are added as they stand.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from relayd.core.timestamp import DAY_MS


def day_of(unix_ms: int) -> int:
    """The start of the UTC day that holds this time."""
    return unix_ms - unix_ms % DAY_MS


def next_day(unix_ms: int) -> int:
    """The start of the day after it."""
    return day_of(unix_ms) + DAY_MS


def month_of(unix_ms: int) -> int:
    """The start of the UTC month that holds this time."""
    day = datetime.fromtimestamp(unix_ms // 1000, UTC).day
    return day_of(unix_ms) - (day - 1) * DAY_MS


def next_month(unix_ms: int) -> int:
    """The start of the month after it."""
    return month_of(month_of(unix_ms) + 31 * DAY_MS)


class Spent(NamedTuple):
    """Amounts of the present day and month; the day is part of the month."""

    day: int = 0
    month: int = 0


class SpentRow(NamedTuple):
    """What one key spent on one model; `model` is the name that was asked for."""

    key: str
    model: str
    spent: Spent


@dataclass(frozen=True, slots=True)
class SpentReading:
    """What one state of the store says of some accounts, as of the day and month of `now_ms`.

    `known` are ids, of those that were asked about, that its sums hold.
    """

    now_ms: int
    rows: Mapping[str, Sequence[SpentRow]]
    known: Collection[str] = ()


class Spending:
    """What one scope has spent."""

    __slots__ = ("read_ns", "_day_ms", "_month_ms", "_posted", "_day", "_month", "_calls")

    def __init__(self) -> None:
        self.read_ns: int | None = None
        """When the store was asked last; None where it is to be asked at once."""
        self._day_ms = 0
        self._month_ms = 0
        self._posted = Spent()
        self._day = self._month = 0
        self._calls: dict[str, tuple[int, int]] = {}

    @property
    def unposted(self) -> Mapping[str, tuple[int, int]]:
        """Calls that the store's sums may not hold yet: (start in Unix ms, amount) by id."""
        return self._calls

    def add(self, call_id: str, started_at_ms: int, nano: int) -> None:
        """A call was settled here."""
        if nano > 0:
            self._calls[call_id] = started_at_ms, nano
            self._count(started_at_ms, nano)

    def spent(self, now_ms: int) -> Spent:
        """What was spent in the day and the month of `now_ms`."""
        if not 0 <= now_ms - self._day_ms < DAY_MS:
            self._turn(now_ms)
        day, month = self._posted
        return Spent(day + self._day, month + self._month)

    def install(self, posted: Spent, known: Collection[str], now_ms: int, now_ns: int) -> None:
        """Takes what the store says as of `now_ms`, and forgets the calls that it holds."""
        self.read_ns = now_ns
        self._day_ms = day_of(now_ms)
        self._month_ms = month_of(now_ms)
        self._posted = posted
        self._calls = {name: call for name, call in self._calls.items() if name not in known}
        self._sum()

    def _turn(self, now_ms: int) -> None:
        """Another day has begun, and with it perhaps another month."""
        if now_ms < self._day_ms:  # a clock was set back: what that day had is known no more
            self.read_ns = None
        self._day_ms = day_of(now_ms)
        month_ms = month_of(now_ms)
        self._posted = Spent(0, self._posted.month if month_ms == self._month_ms else 0)
        self._month_ms = month_ms
        self._sum()

    def _sum(self) -> None:
        self._day = self._month = 0
        for started_at_ms, nano in self._calls.values():
            self._count(started_at_ms, nano)

    def _count(self, started_at_ms: int, nano: int) -> None:
        if started_at_ms >= self._day_ms:
            self._day += nano
        if started_at_ms >= self._month_ms:
            self._month += nano
