"""Watch: sees that accounts or keys changed, by whatever process, and publishes the new policy.

Law: the relay keeps its last snapshot while the store fails; it never runs without one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from relayd.control import publish
from relayd.core.snapshot import Snapshot
from relayd.ops.beat import Beat
from relayd.ops.logging import Logger
from relayd.ops.notice import Lasting
from relayd.store.change import News
from relayd.store.db import Database
from relayd.store.directory import StoreError

WATCH_SECONDS: Final = 0.25
"""A change must take effect within a second."""


class Watch:
    """Calls `publish(snapshot)` when the store's policy version is not that of the `last` one."""

    def __init__(
        self,
        db: Database,
        publish: Callable[[Snapshot], None],
        last: Snapshot,
        *,
        watch_seconds: float = WATCH_SECONDS,
        log: Logger | None = None,
    ) -> None:
        self._db = db
        self._publish = publish
        self._last = last
        self._telling = Lasting(log or Logger(), "policy_unreadable")
        self._news = News(db.changes)
        self._beat = Beat(watch_seconds, self._news.due)

    async def run(self) -> None:
        """Look every `watch_seconds` if the store was written, and when poked, until `stop()`."""
        while await self._beat.wait():
            await self.look()

    def poke(self) -> None:
        """Look soon: this process has changed something."""
        self._beat.poke()

    async def look(self) -> None:
        """Publish the policy if it changed. A store that fails is tried again next time."""
        try:
            snapshot = await publish.renew(self._db, self._last)
        except StoreError as error:
            self._telling.again(code=error.code)
            return
        self._news.seen()
        if snapshot is not self._last:
            # nobody may come between: what it took over from the last one is changed already
            self._last = snapshot
            self._publish(snapshot)

    async def stop(self) -> None:
        """Look no more."""
        self._beat.stop()
