"""Buckets, allowances and their refusals: exact, never above, whatever the interleaving."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relayd.core.limit import (
    BUDGET_MAX, MINUTE_NS, Allowance, Bucket, LimitBook, Limits, Obstacle, OwnLimits, refusal,
    tightest,
)

SECOND = 1_000_000_000
NOW_MS = 1_790_000_000_000


class Model:
    """A bucket in fractions: what flows in flows in, and nothing is rounded."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.used = Fraction(0)
        self.at = 0

    def flow(self, now_ns: int) -> None:
        self.used = max(Fraction(0), self.used - Fraction((now_ns - self.at) * self.size,
                                                          MINUTE_NS))
        self.at = now_ns


STEPS = st.lists(st.tuples(st.integers(0, 20 * SECOND), st.integers(0, 150)), max_size=60)


@given(st.integers(1, 100), STEPS)
def test_a_bucket_is_exact(size: int, steps: list[tuple[int, int]]) -> None:
    bucket, model, now = Bucket(size, 0), Model(size), 0
    for pause, amount in steps:
        now += pause
        model.flow(now)
        may = model.used + amount <= size or (amount > size and model.used == 0)
        wait = bucket.wait_ns(amount, now)
        assert (wait == 0) == may
        assert bucket.remaining(now) == max(0, (size - model.used).__floor__())
        assert bucket.standing(now) == (
            size, bucket.remaining(now), -(-bucket.full_ns(now) // 1_000_000))
        if not may:
            # the wait is neither too short nor a nanosecond too long
            free = size if amount <= size else amount
            assert wait == -((free - amount - model.used) * MINUTE_NS // size)
            continue
        bucket.take(amount, now)
        model.used += amount
        assert model.used <= size or model.used == amount


@given(st.integers(1, 50), STEPS)
def test_after_its_wait_a_call_is_admitted(size: int, steps: list[tuple[int, int]]) -> None:
    bucket, now = Bucket(size, 0), 0
    for pause, amount in steps:
        now += pause
        now += bucket.wait_ns(amount, now)
        assert bucket.wait_ns(amount, now) == 0
        bucket.take(amount, now)
    assert bucket.wait_ns(0, now + bucket.full_ns(now)) == 0
    assert bucket.remaining(now + bucket.full_ns(now)) == size


CALLS = st.lists(st.tuples(
    st.integers(0, 3 * SECOND), st.integers(1, 40), st.integers(0, 200), st.integers(0, 90)),
    min_size=1, max_size=80)


@settings(max_examples=300)
@given(st.integers(20, 200), CALLS)
def test_corrections_never_make_room_that_nobody_had(
    size: int, calls: list[tuple[int, int, int, int]]
) -> None:
    """Whenever a call is admitted, the true tokens of the settled ones leave room for it.

    A reference bucket is charged each call's estimate at its admission until it settles, and its
    truth from then on, as if that had been known at once; where the truth is more it is charged
    when it is known.
    """
    bucket = Bucket(size, 0)
    taken: list[tuple[int, int]] = []
    open_calls: list[tuple[int, int, int, int, int]] = []
    now = 0
    for pause, estimate, truth, seconds in calls:
        now += pause
        for call in sorted(open_calls):
            end, index, mark, start, true = call
            if end <= now:
                charged = taken[index][1]
                bucket.correct(charged - true, mark, start, end)
                if true < charged:
                    taken[index] = (start, true)
                else:
                    taken.append((end, true - charged))
                open_calls.remove(call)
        if bucket.wait_ns(estimate, now):
            continue
        assert _used(taken, size, now) + estimate <= size or estimate > size
        mark = bucket.take(estimate, now)
        taken.append((now, estimate))
        open_calls.append((now + seconds * SECOND, len(taken) - 1, mark, now, truth))


def _used(taken: list[tuple[int, int]], size: int, now: int) -> Fraction:
    model = Model(size)
    for at, amount in sorted(taken):
        model.flow(at)
        model.used += amount
    model.flow(now)
    return model.used


def test_an_over_estimate_is_put_back_at_once_and_an_under_estimate_taken() -> None:
    bucket = Bucket(1_000, 0)
    mark = bucket.take(900, 0)
    bucket.correct(800, mark, 0, SECOND // 1_000)
    assert bucket.remaining(SECOND // 1_000) == 900
    bucket.correct(-2_000, 0, 0, SECOND // 1_000)
    assert bucket.remaining(SECOND) == 0
    assert 65 * SECOND < bucket.wait_ns(1, SECOND) < 66 * SECOND


def test_what_has_been_paid_for_meanwhile_is_not_put_back() -> None:
    for seconds, again, left in ((60, 60, 0), (30, 30, 30), (30, 10, 50)):
        bucket = Bucket(60, 0)
        mark = bucket.take(60, 0)
        now = seconds * SECOND
        bucket.take(again, now)  # of what flowed in since then
        bucket.correct(60, mark, 0, now)
        assert bucket.remaining(now) == left


def test_more_than_a_bucket_is_paid_off() -> None:
    bucket = Bucket(60, 0)
    assert bucket.wait_ns(100, 0) == 0
    bucket.take(100, 0)
    assert bucket.wait_ns(1, 0) == 41 * SECOND
    assert bucket.wait_ns(100, 0) == 100 * SECOND


def test_a_changed_limit_keeps_what_is_in_use() -> None:
    bucket = Bucket(60, 0)
    bucket.take(50, 0)
    bucket.resize(100, 0)
    assert bucket.remaining(0) == 50
    bucket.resize(30, 0)
    assert bucket.remaining(0) == 0 and bucket.full_ns(0) == 100 * SECOND
    bucket.resize(60, 101 * SECOND)
    assert bucket.full_ns(101 * SECOND) == 0


def allowance(**limits: int) -> Allowance:
    return Allowance("account", "acct_1", "acct_1", Limits(**limits), 0)


@pytest.mark.parametrize(("limits", "name"), [
    ({"requests_per_minute": 1}, "requests_per_minute"),
    ({"tokens_per_minute": 10}, "tokens_per_minute"),
    ({"concurrent": 1}, "concurrent"),
])
def test_each_limit_stands_in_the_way(limits: dict[str, int], name: str) -> None:
    made = allowance(**limits)
    assert made.obstacles(10, 0, NOW_MS) == []
    made.take(10, 0)
    [obstacle] = made.obstacles(10, 0, NOW_MS)
    assert obstacle[:3] == ("account", name, limits[name]) and obstacle.wait_ns


def test_budgets() -> None:
    made = allowance(daily_budget=100, monthly_budget=150)
    assert made.spending is not None
    assert made.obstacles(0, 0, NOW_MS) == []
    made.spending.add("a", NOW_MS, 99)
    assert made.obstacles(0, 0, NOW_MS) == []
    made.spending.add("b", NOW_MS, 60)
    assert [o.name for o in made.obstacles(0, 0, NOW_MS)] == ["daily_budget", "monthly_budget"]
    made.change(Limits(daily_budget=1_000), 0)
    assert made.obstacles(0, 0, NOW_MS) == []
    assert made.spending.spent(NOW_MS).day == 159
    made.change(Limits(), 0)
    assert made.spending is None


def test_idle_allowances_can_be_forgotten() -> None:
    made = allowance(requests_per_minute=60, concurrent=2)
    assert made.idle(0)
    made.take(0, 0)
    assert not made.idle(2 * SECOND)
    made.running -= 1
    assert not made.idle(0) and made.idle(SECOND)
    assert not allowance(daily_budget=1).idle(0)


def test_the_tightest_is_what_lasts_longest() -> None:
    rate = Obstacle("account", "requests_per_minute", 60, 5 * SECOND)
    tokens = Obstacle("key", "tokens_per_minute", 60, 7 * SECOND)
    day = Obstacle("key", "daily_budget", 1, None)
    month = Obstacle("account", "monthly_budget", 1, None)
    assert tightest([]) is None
    assert tightest([rate, tokens]) is tokens
    assert tightest([day, tokens]) is day
    assert tightest([month, day]) is month and tightest([day, month]) is month


@pytest.mark.parametrize(("obstacle", "code", "wait_ms", "words"), [
    (Obstacle("account", "requests_per_minute", 60, 1_500_000_001), "rate_limited", 1_501,
     "This account may use 60 requests per minute; try again in 2 s."),
    (Obstacle("model", "tokens_per_minute", 9, SECOND), "rate_limited", 1_000,
     "This account, with this model, may use 9 tokens per minute; try again in 1 s."),
    (Obstacle("key", "requests_per_minute", 1, 59 * SECOND), "rate_limited", 59_000,
     "This API key may use 1 request per minute; try again in 59 s."),
    (Obstacle("key", "concurrent", 4, SECOND), "concurrency_limited", 1_000,
     "This API key may have 4 at a time."),
    (Obstacle("key", "daily_budget", 2_500_000_000, None), "budget_spent", None,
     "This API key may spend 2.50 per day; the next day begins at 2026-09-22T00:00:00.000Z."),
    (Obstacle("account", "monthly_budget", 10 ** 9, None), "budget_spent", None,
     "This account may spend 1.00 per month; the next month begins at 2026-10-01T00:00:00.000Z."),
])
def test_refusals_name_the_limit_and_the_wait(
    obstacle: Obstacle, code: str, wait_ms: int | None, words: str
) -> None:
    error = refusal(obstacle, NOW_MS)
    assert (error.code, error.retry_after_ms, error.detail) == (code, wait_ms, words)
    assert str(error) == code


def test_a_book_finds_the_most_specific_line() -> None:
    book = LimitBook.of(Limits(concurrent=1), {
        "gpt-*": Limits(concurrent=2), "gpt-4*": Limits(concurrent=3),
        "gpt-4o": Limits(concurrent=4), "free": Limits()})
    assert book is not None
    assert book.find("gpt-4o") == ("gpt-4o", Limits(concurrent=4))
    assert book.find("gpt-4.1") == ("gpt-4*", Limits(concurrent=3))
    assert book.find("gpt-5") == ("gpt-*", Limits(concurrent=2))
    assert book.find("free") is None and book.find("xgpt-5") is None


def test_a_book_that_limits_nothing_is_none() -> None:
    assert LimitBook.of(Limits(), {"m": Limits()}) is None
    assert LimitBook.of(Limits(), {"m": Limits(concurrent=1)}) is not None
    assert OwnLimits() == OwnLimits({}, {})


def test_a_cap_makes_a_budget_smaller_and_never_larger() -> None:
    defaults = Limits(concurrent=4, daily_budget=100)
    for own, expected in (
            ({}, defaults),
            ({"daily_cap": 50}, defaults._replace(daily_budget=50)),
            ({"daily_cap": 200}, defaults),
            ({"daily_cap": 200, "daily_budget": 0}, defaults._replace(daily_budget=200)),
            ({"daily_cap": 200, "daily_budget": 150}, defaults._replace(daily_budget=150)),
            ({"monthly_cap": 7, "concurrent": 1},
             defaults._replace(monthly_budget=7, concurrent=1)),
            ({"daily_cap": 0}, defaults)):
        assert OwnLimits(own).of_account(defaults) == expected
    assert OwnLimits({"daily_cap": 1}).has_budgets and not OwnLimits({"concurrent": 1}).has_budgets


LIMITED = st.builds(Limits, *[st.integers(0, 3)] * 5)


@given(LIMITED, st.lists(st.tuples(
    st.integers(0, 40 * SECOND), st.integers(0, 4), st.booleans(), st.integers(0, 2)),
    max_size=20))
def test_a_call_is_admitted_where_nothing_is_in_its_way(
    limits: Limits, calls: list[tuple[int, int, bool, int]]
) -> None:
    allowance, now = Allowance("key", "a", "k", limits, 0), 0
    for number, (pause, tokens, ends, nano) in enumerate(calls):
        now += pause
        now_ms = NOW_MS + now // 1_000_000
        admitted = allowance.admits(tokens, now, now_ms)
        assert admitted == (not allowance.obstacles(tokens, now, now_ms))
        if admitted:
            allowance.take(tokens, now)
            allowance.running -= ends
        if allowance.spending is not None:
            allowance.spending.add(str(number), now_ms, nano)


@pytest.mark.parametrize(("budgets", "nano", "near"), [
    ({"daily_budget": 100}, 74, False), ({"daily_budget": 100}, 75, True),
    ({"daily_budget": 1000, "monthly_budget": 100}, 75, True),
    ({"daily_budget": 100, "monthly_budget": 1000}, 75, True),
    ({"daily_budget": 1000}, 749, False), ({"concurrent": 1}, 75, False),
])
def test_a_budget_of_which_three_quarters_are_spent(
    budgets: dict[str, int], nano: int, near: bool
) -> None:
    made = allowance(**budgets)
    if made.spending is not None:
        made.spending.add("a", NOW_MS, nano)
    assert made.near(NOW_MS) is near


@pytest.mark.parametrize(("defaults", "models", "has"), [
    (Limits(concurrent=1), {"m": Limits(tokens_per_minute=1), "m*": Limits(concurrent=1)}, False),
    (Limits(daily_budget=1), {}, True), (Limits(monthly_budget=1), {}, True),
    (Limits(), {"m": Limits(daily_budget=1)}, True),
    (Limits(), {"m*": Limits(monthly_budget=1)}, True),
])
def test_a_book_says_whether_it_has_budgets(
    defaults: Limits, models: dict[str, Limits], has: bool
) -> None:
    book = LimitBook.of(defaults, models)
    assert book is not None and book.has_budgets is has
    assert BUDGET_MAX < 1 << 63 <= 10 * BUDGET_MAX  # a column of the store holds it


def test_an_alias_is_under_its_models_line() -> None:
    one, two, many = Limits(concurrent=1), Limits(concurrent=2), Limits(concurrent=3)
    book = LimitBook.of(Limits(), {"big": one, "own": two, "small-*": many}, {
        "fast": "big", "own": "big", "tiny": "small-1", "free": "other"})
    assert book is not None
    assert book.find("fast") == book.find("big") == ("big", one)
    assert book.find("own") == ("own", two)
    assert book.find("tiny") == book.find("small-2") == ("small-*", many)
    assert book.find("free") is book.find("other") is None
