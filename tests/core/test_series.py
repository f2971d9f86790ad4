"""Periods are whole steps that hold the present; lines add up; empty steps are there."""

from __future__ import annotations

import pytest

from relayd.core.rollup import Sums
from relayd.core.series import (
    NO_SUMS, SPANS, Line, Point, Span, filled, lines, period, plus, renamed,
)
from relayd.core.timestamp import DAY_MS, HOUR_MS
from tests.fakes.records import START_MS


def sums(calls: int, amount_nano: int = 0) -> Sums:
    """So many calls of 10 tokens."""
    return NO_SUMS._replace(calls=calls, input_tokens=10 * calls, amount_nano=amount_nano)


@pytest.mark.parametrize("span", SPANS)
@pytest.mark.parametrize("past_ms", (0, 1, HOUR_MS - 1, HOUR_MS, DAY_MS - 1))
def test_a_period_holds_the_present_in_its_last_step(span: Span, past_ms: int) -> None:
    now_ms = START_MS + past_ms
    found = period(span, now_ms)
    assert found.until_ms - found.step_ms <= now_ms < found.until_ms
    assert found.since_ms % found.step_ms == 0
    assert len(found.steps) == (24 if span == "24h" else int(span[:-1]))


def test_a_period_does_not_begin_before_time() -> None:
    assert period("90d", 5).since_ms == 0


def test_lines_add_up_over_time_and_what_costs_most_comes_first() -> None:
    points = [
        Point(0, "a", "USD", sums(1, 5)), Point(HOUR_MS, "a", "USD", sums(2, 6)),
        Point(0, "b", "USD", sums(1, 100)), Point(0, "c", "CNY", sums(9)),
        Point(0, "d", "CNY", sums(9)),
    ]
    assert lines(points) == [
        Line("b", "USD", sums(1, 100)), Line("a", "USD", sums(3, 11)),
        Line("c", "CNY", sums(9)), Line("d", "CNY", sums(9))]


def test_names_that_become_one_are_one_line() -> None:
    points = [Point(0, "key_1", "USD", sums(1)), Point(0, "key_2", "USD", sums(2)),
              Point(0, "key_3", "USD", sums(4))]
    assert lines(renamed(points, {"key_1": "shop", "key_2": "shop"})) == [
        Line("", "USD", sums(4)), Line("shop", "USD", sums(3))]


def test_every_step_is_there_and_what_is_outside_is_not() -> None:
    wanted = period("24h", START_MS)
    points = [Point(START_MS, "a", "USD", sums(1)), Point(START_MS, "b", "CNY", sums(2)),
              Point(START_MS + HOUR_MS, "a", "USD", sums(7))]
    found = filled(points, wanted)
    assert len(found) == 24
    assert found[-1] == (START_MS, sums(3))
    assert {value for _, value in found[:-1]} == {NO_SUMS}


def test_plus_adds_every_field() -> None:
    one = Sums(*range(1, 10))
    assert plus(one, one) == Sums(*range(2, 20, 2))
