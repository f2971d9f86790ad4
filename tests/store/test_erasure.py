"""Erasures as rows, and what they do to tables."""

from __future__ import annotations

import pytest

from relayd.control import audit
from relayd.core.account import Account
from relayd.core.actor import Actor
from relayd.core.erasure import PARTS, Erasure
from relayd.core.errors import RelayError
from relayd.store import account, erasure
from relayd.store.db import Database
from relayd.store.directory import StoreError

COOLING = Erasure("era_1", "acct_1", "holder", "cooling", 5, 100, "active")
DIGEST, FETCH = b"1" * 32, b"2" * 32


async def kept(db: Database) -> None:
    async with db.writing() as transaction:
        await account.insert(transaction, Account("acct_1", "a@example.org", None, "active", 0))
        await erasure.insert(transaction, COOLING, DIGEST)


async def test_found_while_it_cools(db: Database) -> None:
    await kept(db)
    async with db.reading() as transaction:
        assert await erasure.find_cooling(transaction, "acct_1") == COOLING
        assert await erasure.find_by_digest(transaction, "cancel_digest", DIGEST) == COOLING
        assert await erasure.due(transaction, 99, 9) == []
        assert await erasure.due(transaction, 100, 9) == [COOLING]
        with pytest.raises(RelayError):
            await erasure.find_by_digest(transaction, "fetch_digest", DIGEST)


async def test_one_at_a_time(db: Database) -> None:
    await kept(db)
    with pytest.raises(StoreError) as caught:
        async with db.writing() as transaction:
            await erasure.insert(transaction, Erasure(
                "era_2", "acct_1", "operator", "cooling", 5, 6, "active"), FETCH)
    assert caught.value.code == "store_refused"


async def test_its_end(db: Database) -> None:
    await kept(db)
    ended = Erasure("era_1", "acct_1", "holder", "erased", 5, 100, "active", 101, "{}")
    async with db.writing() as transaction:
        await erasure.end(transaction, ended, FETCH)
        assert await erasure.find_cooling(transaction, "acct_1") is None
        assert await erasure.last(transaction, "acct_1") == ended
        assert await erasure.find_by_digest(transaction, "fetch_digest", FETCH) == ended
        assert await erasure.delete_before(transaction, 101, 9) == 0
        assert await erasure.delete_before(transaction, 102, 9) == 1


async def test_no_cooling_off_is_longer_than_it_was(db: Database) -> None:
    await kept(db)
    async with db.writing() as transaction:
        for now_ms, due in ((200, 100), (50, 50), (1, 5)):
            await erasure.hasten(transaction, "era_1", now_ms)
            found = await erasure.find_cooling(transaction, "acct_1")
            assert found is not None and found.due_at_ms == due


async def test_who_is_owed_something(db: Database) -> None:
    await kept(db)
    async with db.writing() as transaction:
        assert not await erasure.owed(transaction, "acct_1")
        await transaction.run(
            "INSERT INTO ledger_accounts (number, kind, owner, currency, balance_nano)"
            " VALUES (1, 'balance', 'acct_1', 'USD', 5)")
        assert await erasure.owed(transaction, "acct_1")


async def test_what_somebody_did_to_themselves_is_counted_once(db: Database) -> None:
    await kept(db)
    async with db.writing() as transaction:
        await audit.append(transaction, Actor("acct_1"), "account.change", "acct_1", 5)
        found = await erasure.counts(transaction, "acct_1")
    assert (found["audit"], found["profile"], found["orders"]) == (1, 1, 0)


async def test_which_are_erased(db: Database) -> None:
    await kept(db)
    async with db.writing() as transaction:
        await account.insert(transaction, Account("acct_2", "b@example.org", None, "active", 0))
        await account.update(transaction, Account("acct_2", None, None, "erased", 0))
        assert await erasure.erased_of(transaction, ["acct_1", "acct_2", "x"]) == ["acct_2"]


def test_every_rule_is_about_a_known_part() -> None:
    fates = {part.name: part.fate for part in PARTS}
    assert {rule.part for rule in erasure.TABLES} <= set(fates)
    for rule in erasure.TABLES:
        assert (rule.fate == "empty") <= bool(rule.emptied)
