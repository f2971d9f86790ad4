"""The calendar: a clock that leaps ahead has to stand by it; any other is believed."""

from __future__ import annotations

import pytest

from relayd.core.calendar import HOLD_SECONDS, LEAP_MS, Calendar

NOW_MS = 1_767_225_600_000
YEAR_MS = 365 * 86_400_000
HOLD_MS = round(HOLD_SECONDS * 1000)


def test_a_clock_that_goes_as_time_does_is_believed() -> None:
    calendar = Calendar(NOW_MS, NOW_MS, 10.0)
    for days in range(0, 4000, 7):
        assert calendar.believes(NOW_MS + days * 86_400_000, 10.0 + days * 86_400)
    # and one that was set back, and goes on from there
    assert calendar.believes(NOW_MS, 10.0 + 4000 * 86_400)
    assert calendar.believes(NOW_MS + 1000, 11.0 + 4000 * 86_400)


@pytest.mark.parametrize("known", [True, False])
def test_nothing_known_and_nothing_strange(known: bool) -> None:
    assert Calendar(NOW_MS if known else None, NOW_MS, 10.0).believes(NOW_MS, 10.0)


def test_a_year_ahead_for_a_minute_is_never_believed() -> None:
    calendar = Calendar(NOW_MS, NOW_MS, 10.0)
    for second in range(60):
        assert not calendar.believes(NOW_MS + YEAR_MS + second * 1000, 10.0 + second)
        assert calendar.ahead_ms == YEAR_MS
    assert calendar.believes(NOW_MS + 60_000, 70.0) and calendar.ahead_ms == 0
    # the next time it is as suspicious
    assert not calendar.believes(NOW_MS + YEAR_MS, 71.0 + HOLD_SECONDS)


@pytest.mark.parametrize("leap_ms", [LEAP_MS + 1, YEAR_MS])
def test_a_clock_that_stands_by_its_leap_is_believed(leap_ms: int) -> None:
    """As after a start of a machine that was off."""
    calendar = Calendar(NOW_MS, NOW_MS + leap_ms, 10.0)
    assert not calendar.believes(NOW_MS + leap_ms, 10.0)
    assert not calendar.believes(NOW_MS + leap_ms + HOLD_MS - 1000, 10.0 + HOLD_SECONDS - 1)
    assert calendar.believes(NOW_MS + leap_ms + HOLD_MS, 10.0 + HOLD_SECONDS)
    assert calendar.believes(NOW_MS + leap_ms + HOLD_MS + 1, 11.0 + HOLD_SECONDS)


def test_a_leap_in_the_meantime_begins_anew() -> None:
    calendar = Calendar(NOW_MS, NOW_MS, 0.0)
    assert not calendar.believes(NOW_MS + YEAR_MS, 0.0)
    assert not calendar.believes(NOW_MS + 2 * YEAR_MS + HOLD_MS, HOLD_SECONDS)
    assert not calendar.believes(NOW_MS + 2 * YEAR_MS + 2 * HOLD_MS - 1000, 2 * HOLD_SECONDS - 1)
    assert calendar.believes(NOW_MS + 2 * YEAR_MS + 2 * HOLD_MS, 2 * HOLD_SECONDS)


def test_a_day_is_no_leap() -> None:
    calendar = Calendar(NOW_MS, NOW_MS, 0.0)
    assert calendar.believes(NOW_MS + LEAP_MS, 0.0)
