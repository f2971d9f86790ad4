"""Self-assessment: made once a week, kept, and told in figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from relayd.control import assessment
from relayd.core.assessment import Assessment, is_due
from relayd.ops.clock import unix_ms
from relayd.ops.logging import Logger
from relayd.ops.rounds import Rounds
from relayd.store.db import Database
from relayd.store.signing import Signer

FIRST_SECONDS: Final = 90.0
"""After the start, so that the first sweep is over."""
EVERY_SECONDS: Final = 3600.0


class Assessments(Rounds):
    """Looks every hour whether a week is over. `certificate()` is the listener's file."""

    def __init__(
        self, db: Database, signer: Signer, certificate: Callable[[], str | None], *,
        first_seconds: float = FIRST_SECONDS, now_ms: Callable[[], int] = unix_ms,
        log: Logger | None = None,
    ) -> None:
        super().__init__("assessment_failed", EVERY_SECONDS, first_seconds, log)
        self._db = db
        self._signer = signer
        self._certificate = certificate
        self._now_ms = now_ms
        self.last: Assessment | None = None

    async def _look(self) -> None:
        """Assess, where it is time."""
        now_ms = self._now_ms()
        self.last = await assessment.last(self._db)
        if not is_due(self.last.at_ms if self.last else None, now_ms):
            return
        self.last = await assessment.take(
            self._db, self._signer.public, self._certificate(), now_ms)
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
