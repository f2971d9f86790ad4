"""Network records: what the relay has noted goes to the store, sealed, every few seconds.

Law: what the store does not take waits in the relay's buffer, which is bounded; what finds no room
there is counted and told, a number and no more. Records of a month whose key is damaged keep those
of no other month waiting.
"""

from __future__ import annotations

from itertools import takewhile
from secrets import token_bytes
from typing import Final, Protocol

from relayd.control import network
from relayd.core.network import NetworkRecord, Prefixes, month_name
from relayd.ops.beat import Beat
from relayd.ops.logging import Logger
from relayd.ops.notice import Lasting, Pace
from relayd.store.db import Database
from relayd.store.directory import StoreError

EVERY_SECONDS: Final = 2.0
BROKEN: Final = "seal_broken"
HELD_MAX: Final = 10_000
"""So many records wait for a key to be mended: the buffer has room for those of other months."""


class Memory(Protocol):
    """The relay's buffer, as this job sees it (relay/network.py)."""

    lost: int

    def take(self) -> list[NetworkRecord]:
        """The records there are."""

    def give_back(self, records: list[NetworkRecord]) -> None:
        """Takes records that could not be stored."""


class Network:
    """Stores what is noted. `prefixes` says from how many networks each key was used today."""

    def __init__(
        self, db: Database, memory: Memory, *, every_seconds: float = EVERY_SECONDS,
        log: Logger | None = None,
    ) -> None:
        self._db = db
        self._memory = memory
        self.prefixes = Prefixes(token_bytes)
        self._log = log or Logger()
        self._telling = Lasting(self._log, "network_records_failed", "network_records_taken")
        self._pace = Pace()
        self._beat = Beat(every_seconds)
        self._told_lost = 0

    async def run(self) -> None:
        """Store every `every_seconds` until `stop()`."""
        while await self._beat.wait():
            await self.flush()

    async def flush(self) -> bool:
        """Store what there is now; False where the store failed, which keeps it for later."""
        records = self._memory.take()
        held: list[NetworkRecord] = []
        broken: set[str] = set()
        code = ""
        try:
            while records:
                batch = _of_one_month(records)
                month = month_name(batch[0].at_ms)
                if month in broken or not await self._stored(batch):
                    code = BROKEN
                    broken.add(month)
                    held += batch
                del records[:len(batch)]
        except StoreError as error:
            code = error.code
        finally:
            self._memory.lost += max(0, len(held) - HELD_MAX)
            records[:0] = held[-HELD_MAX:]
            if records:
                self._memory.give_back(records)
            self._tell_lost()
        if code:
            self._telling.again(code=code, records=len(records))
            return False
        self._telling.ended()
        return True

    async def _stored(self, batch: list[NetworkRecord]) -> bool:
        """False where their month's key does not open; raises StoreError for all else."""
        try:
            await network.post(self._db, batch)
        except StoreError as error:
            if error.code != BROKEN:
                raise
            return False
        for record in batch:
            self.prefixes.note(record)
        return True

    def _tell_lost(self, last: bool = False) -> None:
        """Once a minute, and at the end."""
        lost = self._memory.lost - self._told_lost
        if lost and (self._pace.due(None) or last):
            self._told_lost += lost
            self._log.warning("network_records_lost", lost=lost)

    async def stop(self) -> None:
        """Store what is left, then no more. Called when no more calls begin."""
        self._beat.stop()
        await self.flush()
        self._tell_lost(last=True)


def _of_one_month(records: list[NetworkRecord]) -> list[NetworkRecord]:
    """The first of them, as many as are stored at once."""
    month = month_name(records[0].at_ms)
    return list(takewhile(lambda record: month_name(record.at_ms) == month,
                          records[:network.BATCH_RECORDS]))
