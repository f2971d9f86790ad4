"""Own limits as rows, and what was spent as the rollups know it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relayd.control import usage
from relayd.core.account import Account
from relayd.core.budget import Spent, SpentRow
from relayd.core.key import ApiKey
from relayd.core.timestamp import DAY_MS
from relayd.store import account, key, limit
from relayd.store.db import Database
from relayd.store.directory import StoreError
from relayd.store.transaction import Transaction
from tests.fakes.records import START_MS, call_record

KEY = ApiKey("key_1", "acct_1", "laptop", "sk-relayd-...abcd", None, None, "active", 5, None)


async def fill(transaction: Transaction) -> None:
    await account.insert(transaction, Account("acct_1", "a@b", None, "active", 0))
    await key.insert(transaction, KEY, b"1" * 32)


async def test_limits_come_back_as_they_went(db: Database) -> None:
    async with db.writing() as transaction:
        await fill(transaction)
        await limit.put(transaction, "account", "acct_1", {"concurrent": 4, "daily_budget": 0})
        await limit.put(transaction, "key", "key_1", {"concurrent": 2})
        assert await limit.everybody(transaction, "account") == {
            "acct_1": {"concurrent": 4, "daily_budget": 0}}
        assert await limit.get(transaction, "key", "key_1") == {"concurrent": 2}
        await limit.put(transaction, "account", "acct_1", {"concurrent": 5})
        assert await limit.get(transaction, "account", "acct_1") == {"concurrent": 5}
        await limit.put(transaction, "key", "key_1", {})
        assert await limit.everybody(transaction, "key") == {}


@pytest.mark.parametrize(("owner", "name", "value", "yes"), [
    ("account", "daily_budget", 1, True), ("key", "monthly_budget", 1, True),
    ("account", "daily_budget", 0, False), ("key", "concurrent", 1, False),
])
async def test_whether_anybody_has_a_budget(
    db: Database, owner: limit.Owner, name: str, value: int, yes: bool
) -> None:
    async with db.writing() as transaction:
        await fill(transaction)
        owner_id = "acct_1" if owner == "account" else "key_1"
        await limit.put(transaction, owner, owner_id, {name: value})
        assert await limit.budgeted(transaction) is yes


@pytest.mark.parametrize(("owner_id", "value"), [("acct_2", 1), ("acct_1", -1)])
async def test_rows_that_break_a_rule_are_refused(
    db: Database, owner_id: str, value: int
) -> None:
    with pytest.raises(StoreError) as caught:
        async with db.writing() as transaction:
            await fill(transaction)
            await limit.put(transaction, "account", owner_id, {"concurrent": value})
    assert caught.value.code == "store_refused"


async def test_spent_by_key_and_model_since_the_month_began(db: Database) -> None:
    today = START_MS + 3 * DAY_MS
    await usage.post(db, [
        call_record(started_at_ms=START_MS - 1, amount_nano=1_000),
        call_record(started_at_ms=START_MS, amount_nano=100),
        call_record(started_at_ms=today + 5, amount_nano=10),
        call_record(started_at_ms=today + 6, amount_nano=1, key="key_2", model=None),
        call_record(started_at_ms=today, amount_nano=7, account="acct_2"),
        call_record(started_at_ms=today, amount_nano=0, account="acct_3"),
    ])
    async with db.reading() as transaction:
        everybody = await limit.spent(transaction, None, START_MS, today)
        assert everybody == {
            "acct_1": [SpentRow("key_1", "gpt-4o-mini", Spent(10, 110)),
                       SpentRow("key_2", "", Spent(1, 1))],
            "acct_2": [SpentRow("key_1", "gpt-4o-mini", Spent(7, 7))],
        }
        some = await limit.spent(transaction, ["acct_2", "acct_9"], START_MS, today)
        assert some == {"acct_2": everybody["acct_2"]}


async def test_which_calls_have_a_record(db: Database) -> None:
    records = [call_record() for _ in range(1_200)]
    await usage.post(db, records[:700])
    async with db.reading() as transaction:
        assert await limit.known(transaction, []) == set()
        found = await limit.known(transaction, [(r.started_at_ms, r.id) for r in records])
    assert found == {r.id for r in records[:700]}


async def test_each_has_its_own_and_nobody_else_s(db: Database) -> None:
    async with db.writing() as transaction:
        for name in ("acct_1", "acct_2"):
            await account.insert(transaction, Account(name, f"{name}@b", None, "active", 0))
            await limit.put(transaction, "account", name, {"concurrent": int(name[-1])})
            for number in (1, 2, 3):
                key_id = f"{name}_{number}"
                await key.insert(transaction, replace(
                    KEY, id=key_id, account=name,
                    state="revoked" if number == 2 else "active"), key_id.encode().ljust(32))
                if number < 3:
                    await limit.put(transaction, "key", key_id, {"concurrent": number})
        assert await limit.of_keys(transaction, "acct_1") == {
            "acct_1_1": {"concurrent": 1}, "acct_1_2": {"concurrent": 2}}
        assert await limit.of_keys(transaction, "acct_3") == {}
        assert await limit.of_working_keys(transaction, ["acct_1", "acct_3"]) == {
            "acct_1_1": {"concurrent": 1}}
        assert await limit.of_working_keys(transaction, []) == {}
        assert await limit.everybody(transaction, "account", ["acct_2", "acct_3"]) == {
            "acct_2": {"concurrent": 2}}
        assert await limit.everybody(transaction, "key", ["acct_2_2"]) == {
            "acct_2_2": {"concurrent": 2}}
        await limit.put(transaction, "key", "acct_1_1", {})
        assert set(await limit.everybody(transaction, "key")) == {
            "acct_1_2", "acct_2_1", "acct_2_2"}
