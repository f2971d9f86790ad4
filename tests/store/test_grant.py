"""Grants and codes as rows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relayd.core.account import Account
from relayd.core.grant import Grant
from relayd.store import account, grant
from relayd.store.db import Database
from relayd.store.directory import StoreError
from relayd.store.grant import Code

ONE = Grant("grant_1", "acct_1", "USD", 100, 100, "code", 5, 50)
CODE = Code("code_1", "USD", 100, 2, 5, None, 30)


async def test_rows_come_back_and_are_spent(db: Database) -> None:
    async with db.writing() as transaction:
        await account.insert(transaction, Account("acct_1", "a@b", None, "active", 1))
        await grant.insert(transaction, ONE)
        assert await grant.left(transaction, "acct_1", "USD") == [ONE]
        assert await grant.left(transaction, "acct_1", "EUR") == []
        await grant.take(transaction, "grant_1", 60)
        assert await grant.of_source(transaction, "acct_1", "code") == [replace(ONE, left_nano=40)]
        assert await grant.expired(transaction, 49, 9) == []
        assert await grant.expired(transaction, 50, 9) == [replace(ONE, left_nano=40)]
        await grant.take(transaction, "grant_1", 40)
        assert await grant.expired(transaction, 50, 9) == []
        assert await grant.listing(transaction, "acct_1") == [replace(ONE, left_nano=0)]


async def test_no_more_is_taken_than_there_is(db: Database) -> None:
    with pytest.raises(StoreError):
        async with db.writing() as transaction:
            await account.insert(transaction, Account("acct_1", "a@b", None, "active", 1))
            await grant.insert(transaction, ONE)
            await grant.take(transaction, "grant_1", 101)


async def test_what_the_ledger_does_not_have_is_found(db: Database) -> None:
    async with db.writing() as transaction:
        await account.insert(transaction, Account("acct_1", "a@b", None, "active", 1))
        await grant.insert(transaction, ONE)
        assert await grant.wrong(transaction) == [("acct_1", "USD", 0, 100)]


async def test_a_code_is_used_once_by_each(db: Database) -> None:
    async with db.writing() as transaction:
        await grant.insert_code(transaction, CODE, b"d" * 32)
        assert await grant.find_code(transaction, b"d" * 32) == CODE
        assert await grant.find_code(transaction, b"e" * 32) is None
        assert await grant.use_code(transaction, "code_1", "acct_1", 6)
        assert not await grant.use_code(transaction, "code_1", "acct_1", 7)
        assert await grant.codes(transaction) == [CODE._replace(uses_left=1)]
        assert await grant.end_code(transaction, "code_1")
        assert not await grant.end_code(transaction, "code_2")
