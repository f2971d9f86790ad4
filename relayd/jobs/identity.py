"""Identity: what signing in leaves behind goes when its time is over; dormancy is looked at.

Law: registrations that were not verified, tokens, sessions and sign-ins each go by their own term;
what fails is tried again at the next turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from relayd.control import dormancy, identity
from relayd.control.dormancy import Erase
from relayd.control.identity import SIGN_IN_DAYS
from relayd.ops.clock import unix_ms
from relayd.ops.logging import Logger
from relayd.store.db import Database
from relayd.store.directory import StoreError

FIRST_SECONDS: Final = 90.0
EVERY_SECONDS: Final = 600.0


class Identity:
    """Sweeps every `every_seconds`. `failures` counts turns that the store broke off."""

    def __init__(
        self, db: Database, origin: Callable[[], str], erase: Erase, *,
        sign_in_days: Callable[[], int] = lambda: SIGN_IN_DAYS,
        first_seconds: float = FIRST_SECONDS, every_seconds: float = EVERY_SECONDS,
        now_ms: Callable[[], int] = unix_ms, log: Logger | None = None,
    ) -> None:
        self._db = db
        self._origin = origin
        self._erase = erase
        self._sign_in_days = sign_in_days
        self._first_seconds = first_seconds
        self._every_seconds = every_seconds
        self._now_ms = now_ms
        self._log = log or Logger()
        self._stopping = asyncio.Event()
        self.failures = 0

    async def run(self) -> None:
        """Sweep until `stop()`."""
        await self._pause(self._first_seconds)
        while not self._stopping.is_set():
            await self.turn()
            await self._pause(self._every_seconds)

    async def turn(self) -> dict[str, int]:
        """One turn; returns how many of each went or were reminded."""
        now_ms = self._now_ms()
        done: dict[str, int] = {}
        try:
            done |= await identity.sweep(self._db, now_ms, self._sign_in_days())
            steps = await dormancy.look(self._db, self._origin(), self._erase, now_ms)
            done |= {str(step): count for step, count in steps.items()}
            if any(done.values()):
                await self._db.checkpoint()
        except StoreError as error:
            self.failures += 1
            self._log.error("sweep_failed", code=error.code)
        return done

    async def stop(self) -> None:
        """Sweep no more; a transaction that is under way ends."""
        self._stopping.set()

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass
