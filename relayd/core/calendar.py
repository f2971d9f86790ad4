"""The calendar: whether the wall clock may be believed by what cannot be undone.

Law: a clock that leaps ahead is not believed until it has stood by it for hours. A machine that
starts in another year and is set right soon after has lost nothing. One that goes back is believed
at once: nothing is deleted for that.
"""

from __future__ import annotations

from typing import Final

LEAP_MS: Final = 86_400_000
"""What is ahead by no more is believed: terms are longer by days than what a law asks for."""
HOLD_SECONDS: Final = 6 * 3600.0
"""How long a clock has to stand by its leap. That of a machine that was off for a while does."""


class Calendar:
    """What was last believed, and what has passed since, by the clock that never goes back.

    `last_ms` is what is known of the past when it begins, None for nothing.
    """

    __slots__ = ("ahead_ms", "_last_ms", "_at", "_leapt_ms", "_since")

    def __init__(self, last_ms: int | None, now_ms: int, seconds: float) -> None:
        self.ahead_ms = 0
        self._last_ms = now_ms if last_ms is None else last_ms
        self._at = seconds
        self._leapt_ms: int | None = None
        self._since = seconds

    def believes(self, now_ms: int, seconds: float) -> bool:
        """Whether it may be `now_ms`; `ahead_ms` is by how much it is later than it could be."""
        ahead_ms = now_ms - self._last_ms - round((seconds - self._at) * 1000)
        if ahead_ms <= LEAP_MS or self._stood(ahead_ms, seconds):
            self._last_ms, self._at, self._leapt_ms, self.ahead_ms = now_ms, seconds, None, 0
            return True
        self.ahead_ms = ahead_ms
        return False

    def _stood(self, ahead_ms: int, seconds: float) -> bool:
        """Whether a leap is that of before, and long enough ago."""
        if self._leapt_ms is None or abs(ahead_ms - self._leapt_ms) > LEAP_MS:
            self._leapt_ms, self._since = ahead_ms, seconds
        return seconds - self._since >= HOLD_SECONDS
