"""Busy polling: where relayd is given a core of its own, its event loop stays awake beside calls.

A loop that slept wakes in a processor that has forgotten its code, and the same call takes three
times as long (docs/decisions/0040). So it asks the kernel again and again while there are calls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

LINGER_SECONDS: Final = 0.5
"""How long the loop stays awake after calls were last seen, which is two looks."""


class BusyPoll:
    """Keeps the loop awake from one `look()` that sees calls to the next.

    `soon` runs something in the loop's next turn: a loop that has something to run does not sleep.
    """

    __slots__ = ("_now", "_soon", "_until", "awake")

    def __init__(self, now: Callable[[], float],
                 soon: Callable[[Callable[[], None]], object]) -> None:
        self._now = now
        self._soon = soon
        self._until = 0.0
        self.awake = False

    def look(self, wanted: bool, calls: int) -> None:
        """`calls` are under way or just over; asked a few times a second."""
        if not wanted:
            self._until = 0.0
        elif calls:
            self._until = self._now() + LINGER_SECONDS
            if not self.awake:
                self.awake = True
                self._again()

    def _again(self) -> None:
        self.awake = self._now() < self._until
        if self.awake:
            self._soon(self._again)
