"""Audit: signs checkpoints as events come, and prunes what is older than its term.

Law: the log of the process tells each checkpoint's number and hash, so that whoever collects logs
has what `relayd audit verify --seen` takes: it finds a log cut off together with its checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from relayd.control import calendar, checkpoint
from relayd.control.calendar import Asked
from relayd.core.checkpoint import Checkpoint
from relayd.ops.clock import unix_ms
from relayd.ops.logging import Logger
from relayd.ops.rounds import Rounds
from relayd.store.db import Database
from relayd.store.signing import Signer

EVERY_SECONDS: Final = 60.0


class Audit(Rounds):
    """Signs what is due. `before_ms(now)` is the moment from which on events are kept."""

    def __init__(
        self, db: Database, signer: Signer, before_ms: Callable[[int], int], *,
        every_seconds: float = EVERY_SECONDS, now_ms: Callable[[], int] = unix_ms,
        believed: Asked = calendar.always, log: Logger | None = None,
    ) -> None:
        super().__init__("audit_failed", every_seconds, log=log)
        self._db = db
        self._signer = signer
        self._before_ms = before_ms
        self._now_ms = now_ms
        self._believed = believed

    async def _look(self) -> None:
        """Sign what is due and prune what is over."""
        now_ms = self._now_ms()
        if await checkpoint.due(self._db, now_ms):
            self._tell(await checkpoint.sign(self._db, self._signer, now_ms))
        if await self._believed(now_ms):
            pruned = await checkpoint.prune(
                self._db, self._signer, self._before_ms(now_ms), now_ms)
            if pruned:
                self._log.event("audit_pruned", records=pruned)

    def _tell(self, made: Checkpoint | None) -> None:
        if made is not None:
            self._log.event("audit_checkpoint", count=made.seq, sha256=made.hash.hex())
