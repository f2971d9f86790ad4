"""Alarms: the few waits of the relay path that the sweep (relay/inflight.py) is too coarse for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Alarm:
    """Calls `wake` once, when `seconds` have passed by `now`, the clock that the waiter reads.

    The loop's own timers count whole milliseconds from the loop's own idea of the time: they may
    come early, and who then looks at the clock and waits on would wait for ever.
    """

    __slots__ = ("_now", "_due", "_wake", "_timer")

    def __init__(self, now: Callable[[], float], seconds: float, wake: Callable[[], None]) -> None:
        self._now = now
        self._due = now() + seconds
        self._wake = wake
        self._timer = asyncio.get_running_loop().call_later(seconds, self._ring)

    def _ring(self) -> None:
        left = self._due - self._now()
        if left > 0:
            self._timer = asyncio.get_running_loop().call_later(left + 0.001, self._ring)
        else:
            self._wake()

    def cancel(self) -> None:
        """Nobody waits any more."""
        self._timer.cancel()
