"""Dormancy: once an hour, who has not been here for long is reminded, and then erased.

Law: what fails is tried again at the next turn; the steps that were taken are in the store. None
is taken for a clock that is not believed (core/calendar.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from relayd.control import calendar, dormancy
from relayd.control.calendar import Asked
from relayd.control.dormancy import Erase
from relayd.core.dormancy import Step
from relayd.ops.clock import unix_ms
from relayd.ops.logging import Logger
from relayd.ops.rounds import Rounds
from relayd.store.db import Database

FIRST_SECONDS: Final = 300.0
EVERY_SECONDS: Final = 3600.0


class Dormancy(Rounds):
    """Looks every `every_seconds`."""

    def __init__(
        self, db: Database, origin: Callable[[], str], erase: Erase, *,
        first_seconds: float = FIRST_SECONDS, every_seconds: float = EVERY_SECONDS,
        now_ms: Callable[[], int] = unix_ms, believed: Asked = calendar.always,
        log: Logger | None = None,
    ) -> None:
        super().__init__("dormancy_failed", every_seconds, first_seconds, log)
        self._db = db
        self._origin = origin
        self._erase = erase
        self._now_ms = now_ms
        self._believed = believed

    async def _look(self) -> Mapping[Step, int]:
        """One turn; returns how many accounts took each step."""
        now_ms = self._now_ms()
        if not await self._believed(now_ms):
            return {}
        return await dormancy.look(self._db, self._origin(), self._erase, now_ms)
