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


async def test_each_currency_of_each_account_has_its_own(db: Database) -> None:
    async with db.writing() as transaction:
        for number in (1, 2):
            await account.insert(
                transaction, Account(f"acct_{number}", f"{number}@b", None, "active", 1))
            for currency in ("CNY", "USD"):
                await alert.put(transaction, f"acct_{number}", currency, number)
        first = await alert.find(transaction, "acct_1", "USD")
        assert first == Alert("acct_1", "USD", 1, False)
        assert await alert.find(transaction, "acct_1", "EUR") is None
        await alert.set_told(transaction, first, True)
        assert await alert.listing(transaction, ("", ""), 9) == [
            Alert("acct_1", "CNY", 1, False), Alert("acct_1", "USD", 1, True),
            Alert("acct_2", "CNY", 2, False), Alert("acct_2", "USD", 2, False)]
        assert len(await alert.listing(transaction, ("", ""), 3)) == 3
        await alert.put(transaction, "acct_1", "USD", 0)
        assert [each[:2] for each in await alert.listing(transaction, ("", ""), 9)] == [
            ("acct_1", "CNY"), ("acct_2", "CNY"), ("acct_2", "USD")]
