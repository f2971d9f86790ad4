"""Enterprise profiles as rows, sealed under their account's key."""

from __future__ import annotations

from relayd.core.account import Account
from relayd.core.enterprise import Enterprise
from relayd.store import account, enterprise
from relayd.store.db import Database

PROFILE = Enterprise("买方公司", "9144030071526726XG", bank="某银行", bank_account="622202123")


async def test_marked_said_and_unmarked(db: Database) -> None:
    await db.keyring.make("acct_1")
    async with db.writing() as transaction:
        await account.insert(transaction, Account("acct_1", "a@x.org", None, "active", 0))
        assert await enterprise.find(transaction, "acct_1") is None
        await enterprise.put(transaction, "acct_1", PROFILE, 4)
        assert await enterprise.find(transaction, "acct_1") is None
        await enterprise.mark(transaction, "acct_1", 5)
        await enterprise.put(transaction, "acct_1", PROFILE, 6)
        await enterprise.mark(transaction, "acct_1", 7)
        assert await enterprise.find(transaction, "acct_1") == ("acct_1", 5, 6, PROFILE)
    raw = b"".join(path.read_bytes() for path in db.directory.glob("relayd.db*"))
    assert "买方".encode() not in raw and b"622202123" not in raw
    async with db.writing() as transaction:
        await enterprise.put(transaction, "acct_1", None, 8)
        assert await enterprise.find(transaction, "acct_1") == ("acct_1", 5, 8, None)
        await enterprise.unmark(transaction, "acct_1")
        assert await enterprise.find(transaction, "acct_1") is None


async def test_another_s_mark_and_words_stay(db: Database) -> None:
    async with db.writing() as transaction:
        for name in ("acct_1", "acct_2"):
            await account.insert(
                transaction, Account(name, f"{name}@x.org", None, "active", 0))
            await enterprise.mark(transaction, name, 5)
            await enterprise.put(transaction, name, PROFILE, 6)
        await enterprise.put(transaction, "acct_1", None, 7)
        assert await enterprise.find(transaction, "acct_2") == ("acct_2", 5, 6, PROFILE)
        await enterprise.unmark(transaction, "acct_1")
        assert await enterprise.find(transaction, "acct_1") is None
        assert await enterprise.find(transaction, "acct_2") == ("acct_2", 5, 6, PROFILE)
