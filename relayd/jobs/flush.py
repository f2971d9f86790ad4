"""Flush: call records go from the meter to the store, once a second and at stop.

Law: a record leaves memory when it is on disk, not before. While the store fails the records wait,
bounded by `records_max`; what is dropped at the bound is counted in `lost`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from relayd.control import usage
from relayd.core.price import NO_PRICES, PriceBook
from relayd.core.record import CallRecord
from relayd.ops.logging import Logger
from relayd.store.db import Database
from relayd.store.directory import StoreError

FLUSH_SECONDS: Final = 1.0
BATCH_RECORDS: Final = 1000
"""Records per transaction: 5 to 20 ms of another thread's time, so commands never wait long."""
RECORDS_MAX: Final = 200_000
"""Records that wait in memory while the store fails: about 200 MB, or minutes of full load."""
BACKOFF_SECONDS_MAX: Final = 10.0
STOP_TRIES: Final = 3

Take = Callable[[], list[CallRecord]]
GiveBack = Callable[[list[CallRecord]], None]


class Flush:
    """`take()` empties the meter; `give_back(records)` returns what could not be stored.

    `healthy` is False while the store does not take records (for /readyz). `posted` counts records
    stored, `lost` records given up: at the bound, refused by the store for what they are, or still
    unstored at stop. `prices()` is the book by which records are rated as they are stored.
    """

    def __init__(
        self,
        db: Database,
        take: Take,
        give_back: GiveBack,
        *,
        flush_seconds: float = FLUSH_SECONDS,
        records_max: int = RECORDS_MAX,
        prices: Callable[[], PriceBook] = lambda: NO_PRICES,
        log: Logger | None = None,
    ) -> None:
        self._db = db
        self._take = take
        self._give_back = give_back
        self._flush_seconds = flush_seconds
        self._records_max = records_max
        self._prices = prices
        self._log = log or Logger()
        self._stopping = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._failures = 0
        self.posted = 0
        self.lost = 0

    @property
    def healthy(self) -> bool:
        """Whether the store took what there was, or would have taken something."""
        return self._failures == 0

    async def run(self) -> None:
        """Flush until `stop()`."""
        while not self._stopping.is_set():
            try:
                async with asyncio.timeout(self._pause_seconds()):
                    await self._stopping.wait()
            except TimeoutError:
                await self.flush()

    async def stop(self) -> None:
        """Store what is left. Called when no more exchanges settle, before the store closes."""
        self._stopping.set()
        for _ in range(STOP_TRIES):
            if await self.flush():
                return
        left = self._take()
        if left:
            self.lost += len(left)
            self._log.error("records_lost", reason="stop", lost=len(left))

    async def flush(self) -> bool:
        """Store everything the meter has now; False where the store failed."""
        async with self._one_at_a_time:
            records = self._take()
            try:
                await (self._post(records) if records else self._probe())
            except StoreError as error:
                self._failures += 1
                self._log.error("store_failed", code=error.code, records=len(records),
                                retry_ms=round(self._pause_seconds() * 1000))
                return False
            finally:
                # whatever is left in the list is not stored: also when this task is cancelled
                self._keep(records)
            self._failures = 0
            return True

    def _pause_seconds(self) -> float:
        """The flush interval, doubled with each failure, up to a bound."""
        backoff = self._flush_seconds * 2.0 ** min(self._failures, 10)
        return min(backoff, max(BACKOFF_SECONDS_MAX, self._flush_seconds))

    async def _probe(self) -> None:
        """Without records: whether the store would take one. Nothing is written."""
        async with self._db.writing():
            pass

    async def _post(self, records: list[CallRecord]) -> None:
        """Store the records, taking them out of the list as they reach the disk."""
        while records:
            batch = records[:BATCH_RECORDS]
            try:
                await usage.post(self._db, batch, self._prices())
            except StoreError as error:
                if error.code != "store_refused":
                    raise
                await self._post_singly(records, len(batch))
            else:
                self.posted += len(batch)
                del records[:len(batch)]
            await self._checkpoint()

    async def _post_singly(self, records: list[CallRecord], count: int) -> None:
        """One record that the store never takes must not hold up the others."""
        for _ in range(count):
            try:
                await usage.post(self._db, records[:1], self._prices())
            except StoreError as error:
                if error.code != "store_refused":
                    raise
                self.lost += 1
                self._log.error("record_refused", request_id=records[0].id)
            else:
                self.posted += 1
            del records[0]

    async def _checkpoint(self) -> None:
        """The records are stored; a failed checkpoint is tried again after the next batch."""
        try:
            await self._db.checkpoint_if_large()
        except StoreError as error:
            self._log.warning("checkpoint_failed", code=error.code)

    def _keep(self, records: list[CallRecord]) -> None:
        over = len(records) - self._records_max
        if over > 0:
            self.lost += over
            self._log.error("records_lost", reason="bound", lost=over)
            del records[self._records_max:]
        if records:
            self._give_back(records)
