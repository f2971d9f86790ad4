"""Flush: call records go to the store, once a second and at stop.

Law: a record leaves memory when it is in the store, or because the journal has it and memory is
full; then it is read again from there. A file of the journal goes when all that closed in it is in
the store. So nothing is lost but what the store refuses for what it is, and that is logged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from relayd.control import usage
from relayd.core.columns import PART_RECORDS, Columns
from relayd.core.price import NO_PRICES, Rates
from relayd.core.record import CallRecord
from relayd.ops.beat import Beat
from relayd.ops.clock import monotonic
from relayd.ops.logging import Logger
from relayd.ops.notice import Lasting
from relayd.store.applied import Applied
from relayd.store.db import Database
from relayd.store.directory import StoreError
from relayd.store.journal import JournalWriter

FLUSH_SECONDS: Final = 1.0
BATCH_RECORDS: Final = 2000
"""Records per transaction: 5 to 20 ms of another thread's time, so commands never wait long."""
BACKOFF_SECONDS_MAX: Final = 10.0
PROBE_SECONDS: Final = 5.0
"""How often the store is asked whether it takes records where there are none."""
STOP_TRIES: Final = 3


class Memory(Protocol):
    """The meter, as this job sees it (relay/meter.py)."""

    elsewhere: int

    def __len__(self) -> int:
        """How many records are not stored."""

    def take(self) -> tuple[list[CallRecord], int]:
        """The records in memory, and the journal's line that they reach up to."""

    def give_back(self, records: list[CallRecord]) -> None:
        """Takes records that could not be stored."""

    def since(self) -> int:
        """Up to which line the journal has what memory does not hold."""


class Flush:
    """Brings what the meter and lane `lane` of the journal have to the store.

    `healthy` is False while the store does not take records (for /readyz). `posted` counts records
    that it took, `refused` those that it never takes, `failures` how often it failed. `prices()`
    is the book by which records are rated as they are stored; `tell` is given what was stored, as
    it was rated.
    """

    def __init__(
        self,
        db: Database,
        memory: Memory,
        journal: JournalWriter,
        lane: int = 0,
        *,
        flush_seconds: float = FLUSH_SECONDS,
        prices: Callable[[], Rates] = lambda: NO_PRICES,
        tell: Callable[[Columns], None] = lambda part: None,
        log: Logger | None = None,
    ) -> None:
        self._db = db
        self._memory = memory
        self._journal = journal
        self._lane = lane
        self._flush_seconds = flush_seconds
        self._prices = prices
        self._tell = tell
        self._log = log or Logger()
        self._telling = Lasting(self._log, "store_failed", "store_takes_records")
        self._telling_checkpoint = Lasting(self._log, "checkpoint_failed", level="warning")
        self._beat = Beat(flush_seconds, self._is_due)
        self._probe_at = 0.0
        self._one_at_a_time = asyncio.Lock()
        self._failures = 0
        self._applied = journal.number
        self._clean_at = monotonic()
        self._asked_at: float | None = None
        self.posted = 0
        self.refused = 0
        self.failures = 0

    @property
    def healthy(self) -> bool:
        """Whether the store took what there was, or would have taken something."""
        return self._failures == 0

    def oldest_seconds(self) -> float:
        """How old the oldest record that is not stored may be; 0.0 where there is none."""
        return monotonic() - self._clean_at if len(self._memory) else 0.0

    def waited_seconds(self) -> float:
        """For how long the store has been at what it was asked for last; 0.0 where it is idle."""
        return 0.0 if self._asked_at is None else monotonic() - self._asked_at

    async def run(self) -> None:
        """Flush until `stop()`."""
        while await self._beat.wait():
            await self.flush()
            self._beat.seconds = self._pause_seconds()

    def _is_due(self) -> bool:
        """Whether there are records, or the store failed, or was not asked for a while."""
        if len(self._memory) or self._failures:
            return True
        self._clean_at = monotonic()
        return self._clean_at >= self._probe_at

    async def stop(self) -> bool:
        """Store what is left. Called when no more exchanges settle, before the journal stops.

        False where not all of it is stored: the journal has the rest.
        """
        self._beat.stop()
        for _ in range(STOP_TRIES):
            if await self.flush() or not len(self._memory):
                return True
        self._log.error("records_left", unflushed=len(self._memory))
        return False

    async def flush(self) -> bool:
        """Store everything that there is now; False where the store failed."""
        async with self._one_at_a_time:
            self._asked_at = monotonic()
            self._journal.look()
            try:
                await self._post_journal(self._memory.since())
                await self._post_memory()
            except (StoreError, OSError) as error:
                self._failures += 1
                self.failures += 1
                code = error.code if isinstance(error, StoreError) else "store_failed"
                self._telling.again(code=code, records=len(self._memory),
                                    retry_ms=round(self._pause_seconds() * 1000))
                return False
            finally:
                self._asked_at = None
            self._failures = 0
            self._telling.ended()
            self._clean_at = monotonic()
            self._probe_at = self._clean_at + PROBE_SECONDS
            return True

    def _pause_seconds(self) -> float:
        """The flush interval, doubled with each failure, up to a bound."""
        backoff = self._flush_seconds * 2.0 ** min(self._failures, 10)
        return min(backoff, max(BACKOFF_SECONDS_MAX, self._flush_seconds))

    async def _probe(self) -> None:
        """Without records: whether the store would take one. Nothing is written."""
        async with self._db.writing(begin_now=False):
            pass

    async def _post_journal(self, until: int) -> None:
        """Store what memory had no room for."""
        left = self._memory.elsewhere
        while self._applied < until:
            batch = await self._journal.read(self._applied, until)
            await self._post(batch.records, batch.through)
            self._applied_to(batch.through)
            count = min(left, len(batch.records))
            left -= count
            self._memory.elsewhere -= count
        self._memory.elsewhere -= left

    async def _post_memory(self) -> None:
        """Store the records in memory, taking them out of the list as they reach the disk."""
        records, through = self._memory.take()
        if not records:
            await self._probe()
        try:
            while records:
                batch = records[:BATCH_RECORDS]
                await self._post(batch, through if len(batch) == len(records) else None)
                del records[:len(batch)]
        finally:
            # whatever is left in the list is not stored: also when this task is cancelled
            if records:
                self._memory.give_back(records)
        self._applied_to(through)

    async def _post(self, records: Sequence[CallRecord], through: int | None) -> None:
        self._asked_at = monotonic()
        applied = None if through is None else Applied(self._lane, through)
        parts = await self._rated(records)
        done = await usage.post_each_part(self._db, parts, applied)
        self.posted += done.new
        # others were told of before: the journal may give again what memory had
        await self._tell_of(done.fresh)
        for call_id in done.refused:
            self.refused += 1
            self._log.error("record_refused", request_id=call_id)
        try:
            await self._db.checkpoint_if_large()
        except StoreError as error:  # it is tried again after the next batch
            self._telling_checkpoint.again(code=error.code)

    async def _rated(self, records: Sequence[CallRecord]) -> list[Columns]:
        """In parts, as they are told of."""
        book, parts = self._prices(), []
        for at in range(0, len(records), PART_RECORDS):
            part = records[at:at + PART_RECORDS]
            parts.append(Columns([book.rated(record) for record in part] if book else part))
            await asyncio.sleep(0)
        return parts

    async def _tell_of(self, parts: Sequence[Columns]) -> None:
        """One by one: what is done with them is done on the loop that carries calls."""
        for part in parts:
            self._tell(part)
            await asyncio.sleep(0)

    def _applied_to(self, number: int) -> None:
        if number > self._applied:
            self._applied = number
        self._journal.applied(self._applied)
