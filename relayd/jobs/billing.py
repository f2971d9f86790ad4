"""Billing: subscriptions that are due, credit whose time is over, alerts of low balances.

Law: each step is a transaction of its own, and is done once: a run that failed is taken up where
it stopped. Nothing is renewed or let expire for a clock that is not believed (core/calendar.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from relayd.control import alert, calendar, grant, subscription
from relayd.control.calendar import Asked
from relayd.core.plan import Plan
from relayd.ops.clock import unix_ms
from relayd.ops.logging import Logger
from relayd.ops.rounds import Rounds
from relayd.store.db import Database

EVERY_SECONDS: Final = 60.0
SETTLED_MS: Final = 60_000
"""How long credit outlives its time: records of the last calls in it have come by then."""


class Billing(Rounds):
    """Looks every `every_seconds`. `link(path)` is an address in the console."""

    def __init__(
        self, db: Database, plans: Callable[[], Mapping[str, Plan]],
        link: Callable[[str], str], *, every_seconds: float = EVERY_SECONDS,
        now_ms: Callable[[], int] = unix_ms, believed: Asked = calendar.always,
        log: Logger | None = None,
    ) -> None:
        super().__init__("billing_failed", every_seconds, every_seconds, log)
        self._db = db
        self._plans = plans
        self._link = link
        self._now_ms = now_ms
        self._believed = believed

    async def _look(self) -> None:
        """Do all for which it is time now. What is left is done the next time."""
        now_ms = self._now_ms()
        if await self._believed(now_ms):
            await subscription.run_due(self._db, self._plans(), self._link("/plans"), now_ms)
            await grant.expire(self._db, now_ms, SETTLED_MS)
        await alert.tell(self._db, self._link("/balance"), now_ms)
