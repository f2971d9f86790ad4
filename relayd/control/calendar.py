"""The calendar of a process: asked by every job that deletes, erases or charges for good.

Law: what the store was last swept at is what is known of the past at a start.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from relayd.control import retention
from relayd.core.calendar import Calendar
from relayd.ops import clock
from relayd.ops.logging import Logger
from relayd.store.db import Database
from relayd.store.directory import StoreError

Asked = Callable[[int], Awaitable[bool]]
"""Whether it may be that moment."""


async def always(now_ms: int) -> bool:
    """For who moves the clock themselves."""
    return True


class Clockwork:
    """`believed(now_ms)` is asked before each turn; the log tells when a clock is not believed,
    once, and when it is again."""

    def __init__(
        self, db: Database, *, seconds: Callable[[], float] = clock.monotonic,
        log: Logger | None = None,
    ) -> None:
        self._db = db
        self._seconds = seconds
        self._log = log or Logger()
        self._calendar: Calendar | None = None
        self._told = False

    async def believed(self, now_ms: int) -> bool:
        """False also where the store cannot be asked what is known of the past."""
        if self._calendar is None:
            try:
                swept = await retention.noted(self._db)
            except StoreError:
                return False
            if self._calendar is None:  # nobody else has asked meanwhile
                last_ms = max((each.at_ms for each in swept.values()), default=None)
                self._calendar = Calendar(last_ms, now_ms, self._seconds())
        believed = self._calendar.believes(now_ms, self._seconds())
        self._tell(believed, self._calendar.ahead_ms)
        return believed

    def _tell(self, believed: bool, ahead_ms: int) -> None:
        if not believed and not self._told:
            self._log.warning("clock_leapt", seconds=ahead_ms // 1000)
        elif believed and self._told:
            self._log.event("clock_believed")
        self._told = not believed
