"""Budgets: brings what the store says was spent to the relay, which may not ask for it.

Law: a budget is read before the first call that it could refuse, where it stood in the store at
start; later ones within a second or two. While the store fails, what was read last stays.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from relayd.control import limit
from relayd.core.budget import SpentReading
from relayd.ops.beat import Beat
from relayd.ops.clock import unix_ms
from relayd.ops.logging import Logger
from relayd.ops.notice import Lasting
from relayd.store.db import Database
from relayd.store.directory import StoreError

BUDGET_SECONDS: Final = 0.5
ACCOUNTS_AT_ONCE: Final = 50
"""Accounts per reading: 55 ms of another thread's time, where each has 500 rollups a month.

Where more call than can be read in time, what they settled waits in memory and still counts.
"""

Due = Callable[[int], list[str]]
Unposted = Callable[[Collection[str]], Collection[tuple[int, str]]]
Install = Callable[[Collection[str] | None, SpentReading], None]


class Budgets:
    """Reads for the relay's admission, which is given as callables.

    `by_default()`: whether the configuration gives everybody a budget; `due(most)` names accounts
    to be read; `unposted(accounts)` calls that may be in the store already; `install(accounts,
    reading)` takes what was read.
    """

    def __init__(
        self, db: Database, by_default: Callable[[], bool], due: Due, unposted: Unposted,
        install: Install, *, budget_seconds: float = BUDGET_SECONDS, log: Logger | None = None,
    ) -> None:
        self._db = db
        self._by_default = by_default
        self._due = due
        self._unposted = unposted
        self._install = install
        self._telling = Lasting(log or Logger(), "budgets_unreadable")
        self._beat = Beat(budget_seconds)
        self._begun = False

    async def begin(self) -> None:
        """Reads everybody's spending, before any call; nothing where nobody has a budget.

        Raises StoreError.
        """
        if self._by_default() or await limit.budgeted(self._db):
            self._install(None, await limit.spent(self._db, None, unix_ms(), tuple))
            self._begun = True

    async def run(self) -> None:
        """Look every `budget_seconds` until `stop()`."""
        while await self._beat.wait():
            await self.look()

    async def look(self) -> None:
        """Read what is due. A store that fails is asked again next time."""
        try:
            if not self._begun and self._by_default():
                await self.begin()
            await self._read(self._due(ACCOUNTS_AT_ONCE))
        except StoreError as error:
            self._telling.again(code=error.code)

    async def _read(self, accounts: list[str]) -> None:
        among = frozenset(accounts)
        if among:
            reading = await limit.spent(
                self._db, accounts, unix_ms(), lambda: self._unposted(among))
            self._install(among, reading)

    async def stop(self) -> None:
        """Look no more."""
        self._beat.stop()
