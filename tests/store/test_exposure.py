"""Exposed keys as rows: once each, and gone with their account's erasure or their own end."""

from __future__ import annotations

from relayd.core.account import Account
from relayd.core.exposure import Exposure
from relayd.core.key import ApiKey
from relayd.store import account, exposure, key
from relayd.store.db import Database


async def test_each_key_once_while_it_works(db: Database) -> None:
    await db.keyring.make("acct_1")
    async with db.writing() as transaction:
        await account.insert(transaction, Account("acct_1", "a@example.org", None, "active", 0))
        for name, expires in (("key_1", None), ("key_2", 50)):
            await key.insert(transaction, ApiKey(
                name, "acct_1", "n", "sk-...1", None, None, "active", 1, expires, None),
                name.encode().ljust(32))
        first = Exposure("key_1", "acct_1", 5)
        assert await exposure.insert(transaction, first)
        assert not await exposure.insert(transaction, Exposure("key_1", "acct_1", 9))
        assert await exposure.insert(transaction, Exposure("key_2", "acct_1", 7))
        assert await exposure.usable(transaction, "acct_1", 49) == [
            first, Exposure("key_2", "acct_1", 7)]
        assert await exposure.usable(transaction, "acct_1", 50) == [first]
        await transaction.run("UPDATE api_keys SET state = 'revoked'")
        assert await exposure.usable(transaction, "acct_1", 0) == []


async def test_another_s_key_that_was_exposed_is_not_shown(db: Database) -> None:
    async with db.writing() as transaction:
        for number in (1, 2):
            await account.insert(transaction, Account(
                f"acct_{number}", f"{number}@example.org", None, "active", 0))
            await key.insert(transaction, ApiKey(
                f"key_{number}", f"acct_{number}", "n", "sk-...1", None, None, "active", 1, None,
                None), bytes([number]) * 32)
            await exposure.insert(transaction, Exposure(f"key_{number}", f"acct_{number}", 5))
        assert await exposure.usable(transaction, "acct_2", 9) == [Exposure("key_2", "acct_2", 5)]
        assert await exposure.usable(transaction, "acct_3", 9) == []
