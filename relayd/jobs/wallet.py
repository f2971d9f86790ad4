"""Wallets: brings what the store says of balances to the relay, and charges the ledger for calls.

Law: the relay never asks the store. While the store fails, what was read last stays, and what was
settled since counts against it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from typing import Final

from relayd.control import wallet
from relayd.ops.beat import Beat
from relayd.ops.clock import monotonic, unix_ms
from relayd.ops.logging import Logger
from relayd.ops.notice import Lasting
from relayd.store.change import News
from relayd.store.db import Database
from relayd.store.directory import StoreError

WALLET_SECONDS: Final = 0.25
CHARGE_SECONDS: Final = 3600.0
"""What an account may spend does not wait for it; a charge an hour keeps the book short."""

Unposted = Callable[[], Collection[tuple[int, str]]]
Install = Callable[[Iterable[tuple[str, str, int, int]], frozenset[str]], None]


class Wallets:
    """`unposted()` and `install(rows, known)` are the relay's (relay/wallet.py)."""

    def __init__(
        self, db: Database, unposted: Unposted, install: Install, *,
        wallet_seconds: float = WALLET_SECONDS, charge_seconds: float = CHARGE_SECONDS,
        now_ms: Callable[[], int] = unix_ms, log: Logger | None = None,
    ) -> None:
        self._db = db
        self._unposted = unposted
        self._install = install
        self._charge_seconds = charge_seconds
        self._now_ms = now_ms
        self._telling = Lasting(log or Logger(), "wallets_unreadable")
        self._news = News(db.changes)
        self._beat = Beat(wallet_seconds, self._news.due)
        self._version = -1
        self._charged_at = monotonic()

    async def begin(self) -> None:
        """Reads everybody's money, before any call. Raises StoreError."""
        await self._read()

    async def run(self) -> None:
        """Look every `wallet_seconds` if the store was written, until `stop()`."""
        while await self._beat.wait():
            await self.look()

    async def look(self) -> None:
        """Read what changed, charge what is due. A store that fails is asked again next time."""
        try:
            if monotonic() - self._charged_at >= self._charge_seconds:
                while await wallet.charge_all(self._db, self._now_ms()):
                    await asyncio.sleep(0)
                self._charged_at = monotonic()
            await self._read()
        except StoreError as error:
            self._telling.again(code=error.code)
        else:
            self._news.seen()

    async def _read(self) -> None:
        reading = await wallet.read(self._db, self._version, self._unposted)
        if reading.version != self._version:
            self._install(reading.money, reading.known)
            self._version = reading.version

    async def stop(self) -> None:
        """Look no more."""
        self._beat.stop()
