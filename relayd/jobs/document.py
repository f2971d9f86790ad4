"""Documents: publishes first versions and changed facts, and says what waits for a person.

Law: nothing that somebody agrees to is published by itself, save the first version of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from relayd.control import document
from relayd.control.document_text import Drafts
from relayd.core.errors import RelayError
from relayd.ops.beat import Beat
from relayd.ops.clock import unix_ms
from relayd.ops.logging import Logger
from relayd.ops.notice import Lasting
from relayd.store.change import CLOCK_SECONDS, News
from relayd.store.db import Database

EVERY_SECONDS: Final = 5.0
"""How soon a configuration that was read anew is in the documents."""


class Documents:
    """`drafts()` makes the texts of now; `waiting` are documents that differ from theirs.

    It also notices when a version takes effect that asks for a consent anew, and when another
    policy does.
    """

    def __init__(
        self, db: Database, drafts: Callable[[], Drafts], *,
        made_of: Callable[[], object] = lambda: None, every_seconds: float = EVERY_SECONDS,
        now_ms: Callable[[], int] = unix_ms, log: Logger | None = None,
    ) -> None:
        self._db = db
        self._drafts = drafts
        self._made_of = made_of
        self._was_made_of: object = None
        self._now_ms = now_ms
        self._log = log or Logger()
        self._telling = Lasting(self._log, "documents_failed", "documents_work_again")
        self._news = News(db.changes, CLOCK_SECONDS)
        self._beat = Beat(every_seconds, self._is_due)
        self._seen: Drafts | None = None
        self._gating: dict[str, int] = {}
        self.waiting: list[str] = []

    async def look(self) -> None:
        """Publish what needs nobody, where the texts are others than before."""
        self._was_made_of = self._made_of()
        drafts = await asyncio.to_thread(self._drafts)
        try:
            self._gating = await document.take_effect(self._db, self._gating, self._now_ms())
            if drafts is self._seen:
                self._telling.ended()
                self._news.seen()
                return
            waiting = await document.settle(self._db, drafts, self._now_ms())
            self._gating = await document.take_effect(self._db, self._gating, self._now_ms())
        except RelayError as error:
            self._telling.again(code=error.code)
            return
        self._telling.ended()
        self._news.seen()
        self._seen, self.waiting = drafts, waiting
        for name in waiting:
            self._log.warning("document_differs", part=name)

    async def run(self) -> None:
        """Look every `every_seconds` if something is new, until `stop()`."""
        while not self._beat.stopped:
            await self.look()
            await self._beat.wait()

    def _is_due(self) -> bool:
        """Whether the store was written, or the texts may be made of something else now."""
        return self._news.due() or self._made_of() is not self._was_made_of

    async def stop(self) -> None:
        """Look no more."""
        self._beat.stop()
