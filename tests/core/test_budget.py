"""Days and months of UTC, and what was spent in them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from relayd.core.budget import (
    Spending, Spent, SpentReading, SpentRow, day_of, month_of, next_day, next_month,
)
from relayd.core.timestamp import DAY_MS

TIMES = st.integers(0, 4_000_000_000_000)


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


NOON = ms("2026-02-28T12:00:00")


@given(TIMES)
def test_windows_are_those_of_the_calendar(now_ms: int) -> None:
    moment = datetime.fromtimestamp(now_ms / 1000, UTC)
    day = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    month = datetime(moment.year, moment.month, 1, tzinfo=UTC)
    after = datetime(moment.year + moment.month // 12, moment.month % 12 + 1, 1, tzinfo=UTC)
    assert day_of(now_ms) == day.timestamp() * 1000 and next_day(now_ms) - DAY_MS == day_of(now_ms)
    assert month_of(now_ms) == month.timestamp() * 1000
    assert next_month(now_ms) == after.timestamp() * 1000


def test_a_call_counts_for_the_day_and_month_in_which_it_started() -> None:
    spending = Spending()
    assert spending.spent(NOON) == Spent(0, 0)
    spending.add("a", NOON, 5)
    spending.add("b", NOON - DAY_MS, 7)
    spending.add("free", NOON, 0)
    assert spending.spent(NOON) == Spent(5, 12)
    assert "free" not in spending.unposted
    assert spending.spent(ms("2026-03-01T00:00:00")) == Spent(0, 0)
    spending.add("late", NOON, 3)  # it began before midnight
    assert spending.spent(ms("2026-03-01T00:00:01")) == Spent(0, 0)


def test_a_clock_that_is_set_back_over_midnight_has_the_store_asked_at_once() -> None:
    spending = Spending()
    spending.install(Spent(10, 100), set(), NOON, 1)
    assert spending.spent(NOON + DAY_MS) == Spent(0, 0) and spending.read_ns == 1
    assert spending.spent(NOON) == Spent(0, 0) and spending.read_ns is None
    spending.install(Spent(10, 100), set(), NOON, 2)
    assert spending.spent(NOON) == Spent(10, 100) and spending.read_ns == 2


def test_the_day_ends_before_the_month() -> None:
    spending = Spending()
    early = ms("2026-02-03T23:59:59")
    spending.spent(early)
    spending.add("a", early, 5)
    spending.install(Spent(10, 100), set(), early, 1)
    assert spending.spent(early) == Spent(15, 105)
    assert spending.spent(early + 1_000) == Spent(0, 105)


def test_what_the_store_holds_is_not_counted_twice() -> None:
    spending = Spending()
    for name in ("a", "b"):
        spending.add(name, NOON, 5)
    assert spending.read_ns is None
    spending.install(Spent(5, 50), {"a", "elsewhere"}, NOON, 9)
    assert spending.spent(NOON) == Spent(10, 55) and spending.read_ns == 9
    assert dict(spending.unposted) == {"b": (NOON, 5)}


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 3), st.integers(1, 9),
                          st.booleans(), st.booleans()), max_size=30))
def test_any_order_of_settling_posting_and_reading_gives_the_same_sums(
    calls: list[tuple[int, int, int, bool, bool]]
) -> None:
    start = ms("2026-01-20T00:00:00")
    spending = Spending()
    store: dict[str, tuple[int, int]] = {}
    everything: list[tuple[int, int]] = []
    for number, (day, days_long, nano, posted, read) in enumerate(sorted(calls)):
        now_ms = start + day * DAY_MS
        started = now_ms - days_long * DAY_MS
        spending.add(str(number), started, nano)
        everything.append((started, nano))
        if posted:
            store[str(number)] = started, nano
        if read:
            spending.install(_sums(store.values(), now_ms), store.keys(), now_ms, number)
        assert spending.spent(now_ms) == _sums(everything, now_ms)


def _sums(calls: Iterable[tuple[int, int]], now_ms: int) -> Spent:
    pairs = list(calls)
    return Spent(sum(n for t, n in pairs if t >= day_of(now_ms)),
                 sum(n for t, n in pairs if t >= month_of(now_ms)))


def test_a_reading_is_plain_values() -> None:
    reading = SpentReading(NOON, {"acct_1": [SpentRow("key_1", "m", Spent(1, 2))]})
    assert reading.known == () and reading.rows["acct_1"][0].spent.month == 2
