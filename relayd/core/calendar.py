"""The calendar: whether the wall clock may be believed by what cannot be undone.

Law: a machine whose own clock stood still or went wrong while it was off has the time of another
year until the network has set it, which takes seconds. What is far ahead of all that is known is
not believed so soon after the machine's start; a clock that is behind deletes nothing.
"""

from __future__ import annotations

from typing import Final

from relayd.core.timestamp import DAY_MS

LEAP_MS: Final = DAY_MS
"""What is ahead by no more is believed: terms are longer by days than what a law asks for."""
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
