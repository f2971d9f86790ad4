"""Erasures: carries out those whose days to think again are over, and tells owners of requests.

Law: one that fails keeps no other; it is tried again at the next turn. Nobody is erased or
told for a clock that is not believed (core/calendar.py). Tickets that nobody
answered in time are counted here, for the metrics.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from relayd.control import calendar, erasure, lawful, ticket
from relayd.control.calendar import Asked
from relayd.control.erasure import Link, Means
from relayd.core.erasure import Erasure
from relayd.core.errors import RelayError
from relayd.core.retention import Terms
from relayd.ops.clock import unix_ms
from relayd.ops.logging import Logger
from relayd.ops.rounds import Rounds
from relayd.store.db import Database
from relayd.store.signing import Signer

FIRST_SECONDS: Final = 30.0
EVERY_SECONDS: Final = 60.0
BATCH: Final = 20


class Erasures(Rounds):
    """Looks every `every_seconds`. `overdue` has the late tickets by class."""

    def __init__(
        self, db: Database, signer: Signer, terms: Callable[[], Terms], link: Callable[[], Link],
        *, first_seconds: float = FIRST_SECONDS, every_seconds: float = EVERY_SECONDS,
        now_ms: Callable[[], int] = unix_ms, believed: Asked = calendar.always,
        log: Logger | None = None,
    ) -> None:
        super().__init__("erasure_failed", every_seconds, first_seconds, log)
        self._db = db
        self._signer = signer
        self._terms = terms
        self._link = link
        self._now_ms = now_ms
        self._believed = believed
        self.overdue: dict[str, int] = {}

    async def _look(self) -> int:
        """Erase what is due, tell who may be told; returns how many accounts were erased."""
        now_ms, erased = self._now_ms(), 0
        if await self._believed(now_ms):
            for due in await erasure.due(self._db, now_ms, BATCH):
                erased += await self._erase(due, now_ms)
            if erased:
                self._log.event("erased", account_count=erased)
            await lawful.tell(self._db, now_ms, self._link())
        self.overdue = await ticket.overdue(self._db, now_ms)
        return erased

    async def _erase(self, due: Erasure, now_ms: int) -> int:
        means = Means(self._signer, self._terms(), self._link())
        try:
            await erasure.erase(self._db, means, due, now_ms)
        except RelayError as error:  # another process was first, or the store failed
            self._failed(error)
            return 0
        return 1
