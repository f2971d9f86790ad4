"""Dormancy: what becomes of an account that nobody uses.

Law: two reminders, then erasure; whoever signs in or calls again starts anew. The months are
given as days, so that every account waits equally long.
"""

from __future__ import annotations

from typing import Final, Literal

from relayd.core.timestamp import DAY_MS

Step = Literal["first_reminder", "last_reminder", "erase"]
STEPS: Final[tuple[tuple[Step, int], ...]] = (
    ("first_reminder", 365), ("last_reminder", 700), ("erase", 730),
)
"""Each step and the days without use after which it is due: 12, 23 and 24 months."""
NOTICE_DAYS: Final = 30
"""Days between the last reminder and the erasure, also where reminders were late."""


def due(seen_at_ms: int, done: int, done_at_ms: int, now_ms: int) -> Step | None:
    """The next step where it is due. `done` counts those taken, the last one at `done_at_ms`."""
    if done >= len(STEPS):
        return None
    step, days = STEPS[done]
    if step == "erase" and now_ms - done_at_ms < NOTICE_DAYS * DAY_MS:
        return None
    return step if now_ms - seen_at_ms >= days * DAY_MS else None
