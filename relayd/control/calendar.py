"""The calendar of a process: asked by every job that deletes, erases or charges for good.

Law: what the store was last swept at before the start is what is known of the past; what this
process has believed since is held against the machine's own time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from relayd.control import retention
from relayd.core.calendar import SLACK_MS, Steadiness, ahead_ms
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
        self, db: Database, *, up_seconds: Callable[[], float] | None = None,
        log: Logger | None = None,
    ) -> None:
        self._db = db
        self._up_seconds = up_seconds or clock.up_seconds
        self._log = log or Logger()
        self._asked = False
        self._last_ms: int | None = None
        self._told = False
        self._told_behind = False
        self._steadiness = Steadiness()

    async def believed(self, now_ms: int) -> bool:
        """False also where the store cannot be asked what is known of the past."""
        if not self._asked:
            try:
                swept = await retention.noted(self._db)
            except StoreError:
                return False
            if not self._asked:  # nobody else has asked meanwhile
                self._asked = True
                self._last_ms = max((each.at_ms for each in swept.values()), default=None)
        up_seconds = self._up_seconds()
        ahead = (ahead_ms(self._last_ms, now_ms, up_seconds)
                 or self._steadiness.ahead_ms(now_ms, up_seconds))
        self._tell(ahead)
        self._tell_behind(now_ms)
        return not ahead

    def _tell_behind(self, now_ms: int) -> None:
        """One that is behind what is known of the past deletes nothing, and dates all wrong."""
        behind = (self._last_ms or 0) - now_ms > SLACK_MS
        if behind and not self._told_behind:
            self._log.warning("clock_behind", seconds=((self._last_ms or 0) - now_ms) // 1000)
        self._told_behind = behind

    def _tell(self, ahead: int) -> None:
        if ahead and not self._told:
            self._log.warning("clock_leapt", seconds=ahead // 1000)
        elif self._told and not ahead:
            self._log.event("clock_believed")
        self._told = ahead > 0
