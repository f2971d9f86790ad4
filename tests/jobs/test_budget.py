"""What was spent comes to the relay: at start, for new budgets, and after the store has failed."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Collection
from typing import Any

import pytest

from relayd.control import account, limit, usage
from relayd.core.budget import Spent, SpentReading
from relayd.jobs.budget import ACCOUNTS_AT_ONCE, Budgets
from relayd.ops.clock import unix_ms
from relayd.ops.logging import Logger
from relayd.store.db import Database
from tests.fakes.records import call_record

EMAIL = "ann@example.org"


class Relay:
    """Stands for the admission: what is due, and what it was given."""

    def __init__(self, db: Database, by_default: bool = False) -> None:
        self.said = io.StringIO()
        self.accounts: list[str] = []
        self.settled: list[tuple[int, str]] = []
        self.given: list[tuple[Any, SpentReading]] = []
        self.job = Budgets(db, lambda: by_default, self._due, self._unposted, self._install,
                           budget_seconds=0.01, log=Logger(stream=self.said))

    def _due(self, most: int) -> list[str]:
        assert most == ACCOUNTS_AT_ONCE
        return self.accounts

    def _unposted(self, accounts: Collection[str]) -> list[tuple[int, str]]:
        assert set(accounts) == set(self.accounts)
        return self.settled

    def _install(self, accounts: Collection[str] | None, reading: SpentReading) -> None:
        self.given.append((accounts, reading))
        self.accounts = []


@pytest.fixture
async def who(db: Database) -> str:
    made = await account.create(db, EMAIL, None, unix_ms())
    await usage.post(db, [call_record(account=made.id, started_at_ms=unix_ms(), amount_nano=7)])
    return made.id


async def test_nobody_has_a_budget(db: Database, who: str) -> None:
    relay = Relay(db)
    await relay.job.begin()
    await relay.job.look()
    assert relay.given == []


@pytest.mark.parametrize("by_default", [True, False])
async def test_everybody_s_spending_is_read_at_start(
    db: Database, who: str, by_default: bool
) -> None:
    if not by_default:
        await limit.change(db, "account", who, {"daily_budget": "1"}, unix_ms())
    relay = Relay(db, by_default)
    await relay.job.begin()
    [(accounts, reading)] = relay.given
    assert accounts is None and reading.rows[who][0].spent == Spent(7, 7)


async def test_a_budget_by_default_that_comes_later(db: Database, who: str) -> None:
    relay = Relay(db, by_default=True)
    await relay.job.look()
    await relay.job.look()
    assert [accounts for accounts, _ in relay.given] == [None]


async def test_what_is_due_is_read_and_what_is_known_is_told(db: Database, who: str) -> None:
    relay = Relay(db)
    posted = call_record(account=who, started_at_ms=unix_ms(), amount_nano=5)
    await usage.post(db, [posted])
    relay.settled = [(posted.started_at_ms, posted.id), (posted.started_at_ms, "elsewhere")]
    relay.accounts = [who]
    running = asyncio.get_running_loop().create_task(relay.job.run())
    async with asyncio.timeout(5):
        while not relay.given:
            await asyncio.sleep(0.01)
    await relay.job.stop()
    await running
    [(accounts, reading)] = relay.given
    assert accounts == {who} and reading.known == {posted.id}
    assert [row.spent.day for row in reading.rows[who]] == [12]


async def test_a_store_that_fails_is_asked_again(db: Database, who: str) -> None:
    relay = Relay(db)
    relay.accounts = [who]
    async with db.writing() as transaction:
        await transaction.run("ALTER TABLE rollups RENAME TO gone")
    for _ in range(2):
        await relay.job.look()
    assert relay.given == []
    assert relay.said.getvalue().count('"budgets_unreadable","code":"store_failed","count":1') == 1
    async with db.writing() as transaction:
        await transaction.run("ALTER TABLE gone RENAME TO rollups")
    await relay.job.look()
    assert len(relay.given) == 1
