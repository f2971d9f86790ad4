"""Retention: deletes what is kept no longer, category by category, as time passes.

Law: between two transactions the store is free for as long as the last one took it, so that calls
are stored as ever. What is deleted leaves the disk: the WAL is emptied into the database, which
overwrites what it deletes. A category that fails does not keep the others. Nothing is deleted for
a clock that is not believed (core/calendar.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from relayd.control import calendar, retention
from relayd.control.calendar import Asked
from relayd.control.retention import Sweeper
from relayd.core.retention import Terms
from relayd.ops.clock import monotonic, unix_ms
from relayd.ops.logging import Logger
from relayd.ops.rounds import Rounds
from relayd.store.db import Database
from relayd.store.directory import StoreError
from relayd.store.retention import Swept

FIRST_SECONDS: Final = 60.0
"""After the start: a daemon that comes up has better to do."""
EVERY_SECONDS: Final = 600.0


class Retention(Rounds):
    """Sweeps what is older than its term. `noted` is what the store knows of the last sweeps."""

    def __init__(
        self,
        db: Database,
        terms: Callable[[], Terms],
        *,
        first_seconds: float = FIRST_SECONDS,
        every_seconds: float = EVERY_SECONDS,
        batch_records: int = retention.BATCH_RECORDS,
        now_ms: Callable[[], int] = unix_ms,
        believed: Asked = calendar.always,
        log: Logger | None = None,
    ) -> None:
        super().__init__("sweep_failed", every_seconds, first_seconds, log)
        self._db = db
        self._terms = terms
        self._batch_records = batch_records
        self._now_ms = now_ms
        self._believed = believed
        self.noted: dict[str, Swept] = {}

    async def _look(self) -> int:
        """Delete all whose time is over; returns how many rows, also where the store failed."""
        deleted = 0
        for category, sweeper in retention.SWEEPERS.items():
            deleted += await self._sweep(category, sweeper)
        self.noted = await retention.noted(self._db)
        return deleted

    def swept_rows(self) -> dict[str, float]:
        """Rows that all sweeps deleted, by category, for the metrics."""
        return {category: each.all_rows for category, each in self.noted.items()}

    def swept_at_seconds(self) -> dict[str, float]:
        """When each category was last swept, Unix time, for the metrics."""
        return {category: each.at_ms / 1000 for category, each in self.noted.items()}

    async def _sweep(self, category: str, sweeper: Sweeper) -> int:
        deleted = 0
        now_ms = self._now_ms()
        if not await self._believed(now_ms):
            return 0
        try:
            while not self._stops:
                began = monotonic()
                batch = await sweeper(self._db, self._terms(), now_ms, self._batch_records)
                took = monotonic() - began
                deleted += batch
                if batch < self._batch_records:
                    break
                await self._db.checkpoint_if_large()
                await self._stops_within(took)
            if deleted:
                await self._db.checkpoint()
            await retention.note(self._db, category, deleted, now_ms)
        except StoreError as error:  # the next sweep goes on where this one stopped
            self._failed(error, part=category)
        if deleted:
            self._log.event("swept", part=category, records=deleted)
        return deleted
