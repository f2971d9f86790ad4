"""Rounds: what a job does every so often, for longer than a beat, until it is told to stop.

Law: what is under way ends. A round that fails says so and ends no job: the next one does it.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod

from relayd.core.errors import RelayError
from relayd.ops.logging import Logger


class Rounds(ABC):
    """A job looks after `first_seconds`, then every `every_seconds`. `failures` counts those
    that the log tells as `fault`."""

    def __init__(
        self, fault: str, every_seconds: float, first_seconds: float = 0.0,
        log: Logger | None = None,
    ) -> None:
        self._fault = fault
        self._every_seconds = every_seconds
        self._first_seconds = first_seconds
        self._log = log or Logger()
        self._stopped = asyncio.Event()
        self.failures = 0

    async def look(self) -> object:
        """One round: what `_look` gives, None where it failed."""
        try:
            return await self._look()
        except RelayError as error:
            self._failed(error)
            return None

    @abstractmethod
    async def _look(self) -> object:
        """What the job does in a round; a RelayError is a round that failed."""

    async def run(self) -> None:
        """Look until `stop()`."""
        stopped = await self._stops_within(self._first_seconds)
        while not stopped:
            await self.look()
            stopped = await self._stops_within(self._every_seconds)

    async def stop(self) -> None:
        """Look no more; a transaction that is under way ends."""
        self._stopped.set()

    @property
    def _stops(self) -> bool:
        """Whether the job is to stop."""
        return self._stopped.is_set()

    async def _stops_within(self, seconds: float) -> bool:
        """Sleeps for so long, or until the job is to stop; True where it is."""
        try:
            async with asyncio.timeout(seconds):
                return await self._stopped.wait()
        except TimeoutError:
            return False

    def _failed(self, error: RelayError, **words: str) -> None:
        self.failures += 1
        self._log.error(self._fault, **words, code=error.code)
