"""Wallets reach the relay, and charges the ledger; a store that fails is asked again."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterable

import pytest

from relayd.control import account, usage, wallet
from relayd.core.posting import move
from relayd.jobs import wallet as jobs_wallet
from relayd.jobs.wallet import Wallets
from relayd.ops.logging import Logger
from relayd.store import posting
from relayd.store.db import Database
from tests.fakes.records import START_MS, call_record


class Relay:
    """What the job gives the relay."""

    def __init__(self) -> None:
        self.money: dict[str, int] = {}
        self.known: set[str] = set()
        self.calls: list[tuple[int, str]] = []
        self.installs = 0

    def install(self, rows: Iterable[tuple[str, str, int, int]], known: frozenset[str]) -> None:
        self.installs += 1
        self.money.update({row[0]: row[2] for row in rows})
        self.known |= known


def job(db: Database, relay: Relay, **more: object) -> Wallets:
    return Wallets(db, lambda: relay.calls, relay.install, wallet_seconds=0.01,
                   now_ms=lambda: START_MS, **more)  # type: ignore[arg-type]


async def until(truth: object) -> None:
    async with asyncio.timeout(5):
        while not truth():  # type: ignore[operator]
            await asyncio.sleep(0.01)


async def test_changes_are_brought_once(db: Database) -> None:
    made = await account.create(db, "ann@example.org", None, START_MS)
    relay = Relay()
    work = job(db, relay)
    await work.begin()
    assert relay.installs == 1
    for _ in range(3):
        await work.look()
    assert relay.installs == 1
    record = call_record(account=made.id, amount_nano=30, currency="USD")
    relay.calls = [(record.started_at_ms, record.id)]
    await usage.post(db, [record])
    running = asyncio.create_task(work.run())
    await until(lambda: relay.money == {made.id: -30})
    assert relay.known == {record.id}
    async with db.writing() as transaction:
        await posting.post(transaction, move(
            "top_up", "x", 100, "USD", account=made.id, partner="p"), START_MS)
    await until(lambda: relay.money == {made.id: 70})
    await work.stop()
    await running


async def test_the_ledger_is_charged_when_its_time_has_come(db: Database) -> None:
    made = await account.create(db, "ann@example.org", None, START_MS)
    await usage.post(db, [call_record(account=made.id, amount_nano=30, currency="USD")])
    work = job(db, Relay(), charge_seconds=0.0)
    await work.look()
    assert await wallet.charge_all(db, START_MS) == 0
    async with db.reading() as transaction:
        found = await posting.balances(transaction, made.id)
    assert [nano for nano in found.values()] == [-30]


async def test_the_ledger_is_charged_whole_and_not_before_its_time(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(jobs_wallet, "monotonic", lambda: now)
    monkeypatch.setattr(wallet, "CHARGED_TOGETHER", 2)
    people = [(await account.create(db, f"p{number}@example.org", None, START_MS)).id
              for number in range(5)]

    async def charged() -> list[int]:
        async with db.reading() as transaction:
            return [-sum((await posting.balances(transaction, who)).values()) for who in people]

    work = job(db, Relay(), charge_seconds=60.0)
    for step, after in ((59.5, 0), (0.5, 30), (59.5, 30), (0.5, 60)):
        await usage.post(db, [call_record(account=who, amount_nano=15, currency="USD")
                              for who in people])
        now += step
        await work.look()
        assert await charged() == [after] * 5


async def test_what_was_seen_is_not_looked_at_again(db: Database) -> None:
    work = job(db, Relay())
    assert work._news.due()
    await work.look()
    assert not work._news.due()
    await usage.post(db, [call_record(amount_nano=1, currency="USD")])
    assert work._news.due()


async def test_a_store_that_fails_is_asked_again(db: Database) -> None:
    said = io.StringIO()
    relay = Relay()
    work = job(db, relay, log=Logger("info", said))
    closed, db._closed = db._closed, True
    await work.look()
    await work.look()
    assert relay.installs == 0
    assert said.getvalue().count('"wallets_unreadable","code":"store_failed","count":1') == 1
    db._closed = closed
    await work.look()
    assert relay.installs == 1
