"""Abuse: applies the rules to what is known of accounts, every few minutes.

Law: it sees numbers; whom it suspends is told at once and may ask for a person (control/abuse.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from relayd.control import abuse
from relayd.control.abuse import Lookout
from relayd.ops.clock import unix_ms
from relayd.ops.halt import Halt
from relayd.ops.logging import Logger
from relayd.store.db import Database
from relayd.store.directory import StoreError

EVERY_SECONDS: Final = 300.0


class Abuse:
    """Looks every `every_seconds`. `lookout(now)` gives the rules and what the relay has seen."""

    def __init__(
        self, db: Database, lookout: Callable[[int], Lookout], *,
        every_seconds: float = EVERY_SECONDS, now_ms: Callable[[], int] = unix_ms,
        log: Logger | None = None,
    ) -> None:
        self._db = db
        self._lookout = lookout
        self._every_seconds = every_seconds
        self._now_ms = now_ms
        self._log = log or Logger()
        self._halt = Halt()
        self.found = 0
        self.failures = 0

    async def run(self) -> None:
        """Look until `stop()`; for the first time after a while."""
        while not await self._halt.comes_within(self._every_seconds):
            await self.look()

    async def look(self) -> None:
        """Apply the rules once."""
        now_ms = self._now_ms()
        try:
            found = await abuse.look(self._db, self._lookout(now_ms), now_ms)
        except StoreError as error:  # the next look sees the same
            self.failures += 1
            self._log.error("abuse_failed", code=error.code)
            return
        self.found += len(found)
        for finding in found:
            self._log.warning("abuse_found", reason=finding.rule,
                              state="suspended" if finding.suspended else "noted")

    async def stop(self) -> None:
        """Look no more; a transaction that is under way ends."""
        self._halt.give()
