"""Exposed keys: what the relay refused because it came in clear is flagged within seconds.

Law: what the store does not take waits in the relay's memory, one entry for each key.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from relayd.control import exposure
from relayd.core.exposure import Exposure
from relayd.ops.beat import Beat
from relayd.ops.clock import unix_ms
from relayd.ops.logging import Logger
from relayd.ops.notice import Lasting
from relayd.store.db import Database
from relayd.store.directory import StoreError

EVERY_SECONDS: Final = 2.0


class Memory(Protocol):
    """What the relay remembers, as this job sees it (relay/clear.py)."""

    def take(self) -> list[Exposure]:
        """The exposures there are."""

    def give_back(self, exposures: list[Exposure]) -> None:
        """Takes those that could not be stored."""


class Exposures:
    """Flags keys. `console()` is the console's address."""

    def __init__(
        self, db: Database, memory: Memory, console: Callable[[], str], *,
        every_seconds: float = EVERY_SECONDS, log: Logger | None = None,
    ) -> None:
        self._db = db
        self._memory = memory
        self._console = console
        self._log = log or Logger()
        self._telling = Lasting(self._log, "exposure_failed")
        self._beat = Beat(every_seconds)

    async def run(self) -> None:
        """Flag every `every_seconds` until `stop()`."""
        while await self._beat.wait():
            await self.flag()

    async def flag(self) -> None:
        """Flag what there is now."""
        found = self._memory.take()
        if not found:
            return
        try:
            flagged = await exposure.flag(self._db, found, self._console(), unix_ms())
        except StoreError as error:
            self._memory.give_back(found)
            self._telling.again(code=error.code)
            return
        if flagged:
            self._log.warning("keys_exposed", keys=flagged)

    async def stop(self) -> None:
        """Flag what is left, then no more."""
        self._beat.stop()
        await self.flag()
