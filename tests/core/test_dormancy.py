"""Dormancy by a moved clock: 12, 23 and 24 months, and never erasure without its notice."""

from __future__ import annotations

from relayd.core.dormancy import NOTICE_DAYS, due
from relayd.core.timestamp import DAY_MS


def test_the_steps_come_one_after_another() -> None:
    for done, days, step in ((0, 365, "first_reminder"), (1, 700, "last_reminder"),
                             (2, 730, "erase")):
        assert due(0, done, 0, days * DAY_MS - 1) is None
        assert due(0, done, 0, days * DAY_MS) == step
        # counted from when it was last used, whenever that was
        seen = 20_000 * DAY_MS + 5
        assert due(seen, done, seen, seen + days * DAY_MS - 1) is None
        assert due(seen, done, seen, seen + days * DAY_MS) == step
    assert due(0, 3, 0, 9999 * DAY_MS) is None


def test_late_reminders_move_the_erasure() -> None:
    late = 900 * DAY_MS
    assert DAY_MS == 24 * 3600 * 1000 and NOTICE_DAYS == 30
    assert due(0, 2, late, late) is None
    assert due(0, 2, late, late + NOTICE_DAYS * DAY_MS) == "erase"
    assert due(0, 1, 699 * DAY_MS, 700 * DAY_MS) == "last_reminder"
