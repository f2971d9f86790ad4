"""Network records: what the relay has noted goes to the store, sealed, every few seconds.

Law: what the store does not take waits in the relay's buffer, which is bounded; what finds no room
there is counted and told, a number and no more.
"""

from __future__ import annotations

from secrets import token_bytes
from typing import Final, Protocol

from relayd.control import network
from relayd.core.network import NetworkRecord, Prefixes
from relayd.ops.beat import Beat
from relayd.ops.logging import Logger
from relayd.ops.notice import Lasting, Pace
from relayd.store.db import Database
from relayd.store.directory import StoreError

EVERY_SECONDS: Final = 2.0


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
        try:
            while records:
                batch = records[:network.BATCH_RECORDS]
                await network.post(self._db, batch)
                del records[:len(batch)]
                for record in batch:
                    self.prefixes.note(record)
        except StoreError as error:
            self._telling.again(code=error.code, records=len(records))
            return False
        finally:
            if records:
                self._memory.give_back(records)
            self._tell_lost()
        self._telling.ended()
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
