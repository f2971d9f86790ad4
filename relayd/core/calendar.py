"""The calendar: whether the wall clock may be believed by what cannot be undone.

Law: a machine whose own clock stood still or went wrong while it was off has the time of another
year until the network has set it, which takes seconds. What is far ahead of all that is known is
not believed so soon after the machine's start. A clock that leaps ahead later is not believed
until as much time has passed, or a day: nothing comes earlier for it. One that is behind deletes
nothing.
"""

from __future__ import annotations

from typing import Final

from relayd.core.timestamp import DAY_MS, HOUR_MS

LEAP_MS: Final = DAY_MS
"""What is ahead by no more is believed: terms are longer by days than what a law asks for."""
SLACK_MS: Final = HOUR_MS
"""While the machine runs no clock is set by more, but one that was wrong or is now."""
HELD_MS: Final = DAY_MS
"""So long at most a leap is not believed: whoever sets a clock by years means it."""
UNSET_SECONDS: Final = 300.0
"""So long after a machine's start its clock may not have been set yet."""


def ahead_ms(last_ms: int | None, now_ms: int, up_seconds: float) -> int:
    """By how much a clock that is not believed is later than what was known last; 0: it is.

    `last_ms` is None where nothing is known; `up_seconds` have passed since the machine started.
    """
    if last_ms is None or up_seconds >= UNSET_SECONDS:
        return 0
    ahead = now_ms - last_ms
    return ahead if ahead > LEAP_MS else 0


class Steadiness:
    """Whether the clock goes as the time since the machine's start does, which nobody sets."""

    __slots__ = ("_start_ms", "_leapt_ms")

    def __init__(self) -> None:
        self._start_ms: int | None = None
        """When the machine started, by the clock that was believed last."""
        self._leapt_ms: int | None = None
        """How long the machine had been up when a leap was seen."""

    def ahead_ms(self, now_ms: int, up_seconds: float) -> int:
        """By how much the clock has leapt ahead and is not believed yet; 0: it is believed."""
        up_ms = int(up_seconds * 1000)
        start_ms = now_ms - up_ms
        ahead = 0 if self._start_ms is None else start_ms - self._start_ms
        if ahead > SLACK_MS:
            self._leapt_ms = up_ms if self._leapt_ms is None else self._leapt_ms
            if up_ms - self._leapt_ms < min(ahead, HELD_MS):
                return ahead
        self._start_ms, self._leapt_ms = start_ms, None
        return 0
