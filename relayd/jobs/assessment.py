"""Self-assessment: made once a week, kept, and told in figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from relayd.control import assessment
from relayd.core.assessment import Assessment, is_due
from relayd.ops.clock import unix_ms
from relayd.ops.halt import Halt
from relayd.ops.logging import Logger
from relayd.store.db import Database
from relayd.store.directory import StoreError
from relayd.store.signing import Signer

FIRST_SECONDS: Final = 90.0
"""After the start, so that the first sweep is over."""
EVERY_SECONDS: Final = 3600.0


class Assessments:
    """Looks every hour whether a week is over. `certificate()` is the listener's file."""

    def __init__(
        self, db: Database, signer: Signer, certificate: Callable[[], str | None], *,
        first_seconds: float = FIRST_SECONDS, now_ms: Callable[[], int] = unix_ms,
        log: Logger | None = None,
    ) -> None:
        self._db = db
        self._signer = signer
        self._certificate = certificate
        self._first_seconds = first_seconds
        self._now_ms = now_ms
        self._log = log or Logger()
        self._halt = Halt()
        self.last: Assessment | None = None
        self.failures = 0

    async def run(self) -> None:
        """Look every hour until `stop()`."""
        await self._halt.comes_within(self._first_seconds)
        while not self._halt.given:
            await self.look()
            await self._halt.comes_within(EVERY_SECONDS)

    async def look(self) -> None:
        """Assess, where it is time."""
        now_ms = self._now_ms()
        try:
            self.last = await assessment.last(self._db)
            if not is_due(self.last.at_ms if self.last else None, now_ms):
                return
            self.last = await assessment.take(
                self._db, self._signer.public, self._certificate(), now_ms)
        except StoreError as error:  # the next look does it
            self.failures += 1
            self._log.error("assessment_failed", code=error.code)
            return
        if self.last.at_ms != now_ms:  # another process has told
            return
        found = self.last.findings
        for each in found:
            self._log.warning("assessment_finding", part=each.subject)
        self._log.event("assessment", count=len(found))

    def at_seconds(self) -> float:
        """When the last one was made, Unix time; 0 before there was one."""
        return self.last.at_ms / 1000 if self.last else 0.0

    def findings(self) -> int:
        """How much the last one found that an alert is for."""
        return len(self.last.alarms) if self.last else 0

    async def stop(self) -> None:
        """Assess no more."""
        self._halt.give()
