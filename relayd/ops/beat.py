"""Beats: jobs that sleep for the same time wake together, so that an idle process wakes seldom.

A wake-up costs a process that slept more than what most jobs then do: its code is no longer in the
processor's memory. So a pause ends on a multiple of its length, the same one for every job of
the process; processes beside each other have theirs at different moments.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Final

from relayd.ops.clock import monotonic

SHORTEST: Final = 0.25
"""No pause is a smaller share of its length."""


def next_beat(now: float, seconds: float) -> float:
    """The first multiple of `seconds` that is not too near."""
    passed = now % seconds
    return now - passed + seconds * (1 if passed <= (1 - SHORTEST) * seconds else 2)


def _always() -> bool:
    return True


class Beat:
    """The pauses of one job: `wait()` between its looks, until `stop()`.

    Its task goes on where `is_due()` says so at a beat; else it sleeps for another, which costs
    no more than the question. `due` is the last beat that was waited for, by the monotonic clock.
    """

    __slots__ = ("seconds", "stopped", "due", "_is_due", "_phase", "_poked",
                 "_waiting", "_timer")

    def __init__(self, seconds: float, is_due: Callable[[], bool] = _always) -> None:
        self.seconds = seconds
        self.stopped = False
        self.due = 0.0
        self._is_due = is_due
        self._phase = os.getpid() % 250 / 1000
        self._poked = False
        self._waiting: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def wait(self) -> bool:
        """Sleeps until a beat with something to do, or `poke()`; False once `stop()` came."""
        if not self.stopped and not self._poked:
            loop = asyncio.get_running_loop()
            waiting = self._waiting = loop.create_future()
            self._sleep(loop)
            try:
                await waiting
            finally:
                self._waiting = None
                if self._timer is not None:
                    self._timer.cancel()
        self._poked = False
        return not self.stopped

    def poke(self) -> None:
        """Do not wait for the beat, this time or the next."""
        self._poked = True
        self._wake()

    def stop(self) -> None:
        """Wait no more."""
        self.stopped = True
        self._wake()

    def _sleep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = monotonic()
        self.due = self._phase + next_beat(now - self._phase, self.seconds)
        self._timer = loop.call_later(self.due - now, self._beat, loop)

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._waiting is None or self._is_due():
            self._wake()
        else:
            self._sleep(loop)

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
