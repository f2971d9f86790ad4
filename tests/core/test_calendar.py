"""The calendar: a clock that is far ahead right after the machine's start is not believed."""

from __future__ import annotations

import pytest

from relayd.core.calendar import LEAP_MS, UNSET_SECONDS, ahead_ms

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
