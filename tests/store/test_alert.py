"""Alerts as rows."""

from __future__ import annotations

from relayd.core.account import Account
from relayd.store import account, alert
from relayd.store.alert import Alert
from relayd.store.db import Database


async def test_alerts_of_those_who_can_be_told(db: Database) -> None:
    async with db.writing() as transaction:
        for number, state in ((1, "active"), (2, "terminated"), (3, "suspended")):
            await account.insert(transaction, Account(
                f"acct_{number}", f"{number}@b", None, state, 1))  # type: ignore[arg-type]
            await alert.put(transaction, f"acct_{number}", "USD", number)
        found = await alert.listing(transaction, ("", ""), 9)
        assert found == [Alert("acct_1", "USD", 1, False), Alert("acct_3", "USD", 3, False)]
        assert await alert.listing(transaction, ("acct_1", "USD"), 9) == found[1:]
        assert await alert.listing(transaction, ("acct_1", "CNY"), 9) == found
        await alert.set_told(transaction, found[0], True)
        assert await alert.of_account(transaction, "acct_1") == [Alert("acct_1", "USD", 1, True)]
        # another mark is another promise
        await alert.put(transaction, "acct_1", "USD", 5)
        assert await alert.of_account(transaction, "acct_1") == [Alert("acct_1", "USD", 5, False)]
        await alert.put(transaction, "acct_1", "USD", 0)
        assert await alert.of_account(transaction, "acct_1") == []
