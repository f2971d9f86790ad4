"""Abuse: applies the rules to what is known of accounts, every few minutes.

Law: it sees numbers; whom it suspends is told at once and may ask for a person (control/abuse.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from relayd.control import abuse
from relayd.control.abuse import Lookout
from relayd.ops.clock import unix_ms
from relayd.ops.logging import Logger
from relayd.ops.rounds import Rounds
from relayd.store.db import Database

EVERY_SECONDS: Final = 300.0


class Abuse(Rounds):
    """Looks every `every_seconds`. `lookout(now)` gives the rules and what the relay has seen."""

    def __init__(
        self, db: Database, lookout: Callable[[int], Lookout], *,
        every_seconds: float = EVERY_SECONDS, now_ms: Callable[[], int] = unix_ms,
        log: Logger | None = None,
    ) -> None:
        super().__init__("abuse_failed", every_seconds, every_seconds, log)
        self._db = db
        self._lookout = lookout
        self._now_ms = now_ms

    async def _look(self) -> None:
        """Apply the rules once."""
        now_ms = self._now_ms()
        for finding in await abuse.look(self._db, self._lookout(now_ms), now_ms):
            self._log.warning("abuse_found", reason=finding.rule,
                              state="suspended" if finding.suspended else "noted")
