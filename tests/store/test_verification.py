"""Identity checks as rows: the provider's number is sealed."""

from __future__ import annotations

from relayd.core.account import Account
from relayd.core.verification import Answer, Check
from relayd.store import account, verification
from relayd.store.db import Database


async def test_they_come_back_and_the_number_is_sealed(db: Database) -> None:
    await db.keyring.make("acct_1")
    made = [Check(f"idc_{n}", "acct_1", "fake", Answer("verified", "face", f"number-{n}"), 9 - n)
            for n in range(2)]
    async with db.writing() as transaction:
        await account.insert(transaction, Account("acct_1", "a@example.org", None, "active", 0))
        for each in made:
            await verification.insert(transaction, each)
        assert await verification.listing(transaction, "acct_1") == made[::-1]
        assert await verification.listing(transaction, "acct_2") == []
        for (sealed,) in await transaction.rows("SELECT reference FROM identity_checks"):
            assert b"number" not in sealed
