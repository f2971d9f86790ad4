"""The calendar: a clock that is far ahead right after the machine's start is not believed."""

from __future__ import annotations

import pytest

from relayd.core.calendar import (
    HELD_MS, LEAP_MS, SLACK_MS, UNSET_SECONDS, Steadiness, ahead_ms,
)

NOW_MS = 1_767_225_600_000
YEAR_MS = 365 * 86_400_000


@pytest.mark.parametrize(("last_ms", "now_ms", "up_seconds", "ahead"), [
    (NOW_MS, NOW_MS + YEAR_MS, 0.0, YEAR_MS),
    (NOW_MS, NOW_MS + YEAR_MS, UNSET_SECONDS - 0.001, YEAR_MS),
    (NOW_MS, NOW_MS + LEAP_MS + 1, 9.0, LEAP_MS + 1),
    (NOW_MS, NOW_MS + YEAR_MS, UNSET_SECONDS, 0),  # it has been set by now, or never is
    (NOW_MS, NOW_MS + LEAP_MS, 9.0, 0),  # a day is no leap
    (NOW_MS, NOW_MS - YEAR_MS, 9.0, 0),  # behind, it deletes nothing
    (None, NOW_MS + YEAR_MS, 9.0, 0),  # nothing to lose
])
def test_what_is_believed(
    last_ms: int | None, now_ms: int, up_seconds: float, ahead: int
) -> None:
    assert ahead_ms(last_ms, now_ms, up_seconds) == ahead


@pytest.mark.parametrize("leap_ms, held_ms", [
    (SLACK_MS, 0), (SLACK_MS + 1, SLACK_MS + 1), (LEAP_MS, LEAP_MS), (YEAR_MS, HELD_MS),
    (-YEAR_MS, 0),
])
def test_a_leap_of_a_running_machine(leap_ms: int, held_ms: int) -> None:
    clock = Steadiness()
    for hours in range(48):  # and a slow clock is none
        assert clock.ahead_ms(NOW_MS + hours * 3_601_000, hours * 3600) == 0
    last = NOW_MS + 47 * 3_601_000
    for passed_ms in sorted({0, held_ms // 2, held_ms - 1, held_ms, held_ms + 1} - {-1}):
        found = clock.ahead_ms(last + leap_ms + passed_ms, 47 * 3600 + passed_ms / 1000)
        assert found == (leap_ms if passed_ms < held_ms else 0)


def test_a_leap_that_is_taken_back_was_none() -> None:
    clock = Steadiness()
    assert clock.ahead_ms(NOW_MS, 900.0) == 0
    for _ in range(2):
        assert clock.ahead_ms(NOW_MS + YEAR_MS, 900.0) == YEAR_MS
        assert clock.ahead_ms(NOW_MS + HELD_MS, 900.0 + HELD_MS / 1000) == 0
    assert clock.ahead_ms(NOW_MS + HELD_MS - YEAR_MS, 900.0 + HELD_MS / 1000) == 0
    assert clock.ahead_ms(NOW_MS + HELD_MS, 900.0 + HELD_MS / 1000) == YEAR_MS
