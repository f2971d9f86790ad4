"""Months: closes each into invoices and receipts once it and its grace are over.

Law: off unless the configuration says when: a number that was given cannot be taken back. What
broke off is taken up where it stopped; several processes may do it at once, and each document is
issued once (control/closing.py). None is for a clock that is not believed (core/calendar.py).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from typing import Final

from relayd.control import calendar, closing
from relayd.control.calendar import Asked
from relayd.control.invoice import Seller
from relayd.core.actor import SYSTEM
from relayd.core.invoice import Period, month_text
from relayd.core.timestamp import HOUR_MS
from relayd.ops.clock import unix_ms
from relayd.ops.logging import Logger
from relayd.ops.rounds import Rounds
from relayd.store.db import Database

EVERY_SECONDS: Final = 600.0
PAUSE_SECONDS: Final = 0.05
"""Between batches: each holds the store for as long, and calls want it too."""


class Months(Rounds):
    """Looks every `every_seconds`, and once at the start. `wish()` is after how many hours a month
    is closed, 0 for never, and who issues. `overdue` counts months that should be closed."""

    def __init__(
        self, db: Database, wish: Callable[[], tuple[int, Seller]], *,
        every_seconds: float = EVERY_SECONDS, now_ms: Callable[[], int] = unix_ms,
        believed: Asked = calendar.always, log: Logger | None = None,
    ) -> None:
        super().__init__("closing_failed", every_seconds, log=log)
        self._db = db
        self._wish = wish
        self._now_ms = now_ms
        self._believed = believed
        self.overdue = 0

    async def _look(self) -> None:
        """Close what is due. What fails is tried again the next time, and counts as overdue."""
        hours, seller = self._wish()
        now_ms = self._now_ms()
        if not hours:
            self.overdue = 0
            return
        if not await self._believed(now_ms):
            return
        due = await closing.due(self._db, now_ms, hours * HOUR_MS)
        self.overdue = len(due.months)
        for period in due.again:
            await self._close(seller, period)
        for period in due.months:
            if await self._close(seller, period):
                self.overdue -= 1

    async def _close(self, seller: Seller, period: Period) -> bool:
        """Whether a month was closed to its end: a process that stops leaves the rest."""
        text = month_text(period.start_ms)
        async with aclosing(closing.steps(
                self._db, SYSTEM, seller, text, self._now_ms())) as steps:
            async for closed in steps:
                if await self._stops_within(PAUSE_SECONDS):
                    return False
        self._log.info("month_closed", count=closed.invoices + closed.receipts)
        return True
