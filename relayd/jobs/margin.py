"""Margins: sums up past days, an hour after they are over at the latest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from relayd.control import margin
from relayd.core.price import PriceBook
from relayd.ops.clock import unix_ms
from relayd.ops.logging import Logger
from relayd.ops.rounds import Rounds
from relayd.store.db import Database

EVERY_SECONDS: Final = 3600.0


class Margins(Rounds):
    """Looks every `every_seconds`, and once at the start. `book()` is the present price book."""

    def __init__(
        self, db: Database, book: Callable[[], PriceBook], *,
        every_seconds: float = EVERY_SECONDS, now_ms: Callable[[], int] = unix_ms,
        log: Logger | None = None,
    ) -> None:
        super().__init__("margins_failed", every_seconds, log=log)
        self._db = db
        self._book = book
        self._now_ms = now_ms

    async def _look(self) -> None:
        """Sum up what wants it. A store that fails is asked again the next time."""
        while await margin.settle(self._db, self._book(), self._now_ms()):
            if self._stops:
                return
