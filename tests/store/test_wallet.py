"""What accounts used follows their rollups; changes of money are numbered."""

from __future__ import annotations

from pathlib import Path

import pytest

from relayd.core.posting import charge, move
from relayd.core.rollup import RollupKey, Sums
from relayd.store import migration, posting, rollup, wallet
from relayd.store.db import Database, open_database
from relayd.store.transaction import Transaction
from relayd.store.wallet import Due, Money

HOUR = 3_600_000


async def use(transaction: Transaction, account: str, nano: int, hour: int = 1,
              currency: str = "USD") -> None:
    key = RollupKey(hour * HOUR, account, "key_1", "m", "p", currency)
    await rollup.add(transaction, {key: Sums(*[0] * len(Sums._fields))._replace(
        calls=1, amount_nano=nano)})


async def test_use_is_what_the_hours_sum_to(db: Database) -> None:
    async with db.writing() as transaction:
        await use(transaction, "acct_1", 5)
        await use(transaction, "acct_1", 7)
        await use(transaction, "acct_1", 11, hour=2)
        await use(transaction, "acct_1", 100, currency="CNY")
        await use(transaction, "acct_2", 0)
        assert sorted(await wallet.due(transaction, 9)) == [
            Due("acct_1", "CNY", 100, 0), Due("acct_1", "USD", 23, 0)]
        assert await wallet.wrong(transaction) == []
        await transaction.run("UPDATE account_use SET used_nano = 24 WHERE currency = 'USD'")
        assert await wallet.wrong(transaction) == [("acct_1", "USD", 24, 23)]


async def test_what_is_charged_is_due_no_more(db: Database) -> None:
    async with db.writing() as transaction:
        await use(transaction, "acct_1", 5)
        [due] = await wallet.due(transaction, 9)
        await wallet.set_charged(transaction, due)
        assert await wallet.due(transaction, 9) == []
        await use(transaction, "acct_1", 2)
        assert await wallet.due(transaction, 9, "acct_1") == [Due("acct_1", "USD", 7, 5)]
        assert await wallet.due(transaction, 9, "acct_2") == []


async def test_every_change_of_money_has_a_number(db: Database) -> None:
    async with db.writing() as transaction:
        seen = await wallet.version(transaction)
        await use(transaction, "acct_1", 5)
        assert await wallet.changed(transaction, seen) == [Money("acct_1", "USD", -5, 0)]
        seen = await wallet.version(transaction)
        assert await wallet.changed(transaction, seen) == []
        await posting.post(transaction, move(
            "top_up", "x", 100, "USD", account="acct_2", partner="p"), 1)
        assert await wallet.changed(transaction, seen) == [Money("acct_2", "USD", 100, 0)]


async def test_use_that_erasing_gave_to_nobody_is_not_added_again(db: Database) -> None:
    async with db.writing() as transaction:
        await use(transaction, "", 5)
        assert await wallet.due(transaction, 9) == []


async def test_use_from_before_the_ledger_is_in_no_charge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older store: use that 0013 found there, and a charge that was made since."""
    with monkeypatch.context() as older:
        older.setattr(migration, "known", lambda all_of=migration.known(): all_of[:15])
        db = await open_database(tmp_path / "store")
        async with db.writing() as transaction:
            await use(transaction, "a", 70)
            await transaction.run("UPDATE account_use SET charged_nano = 50")
            await posting.post(
                transaction, charge("use:a:USD:70", 20, "USD", "a", 0), 1)
            await transaction.run("UPDATE account_use SET charged_nano = 70")
            await use(transaction, "b", 30)
        await db.close()
    db = await open_database(tmp_path / "store")
    try:
        async with db.reading() as transaction:
            assert await transaction.rows(
                "SELECT account_id, charged_nano, before_nano FROM account_use") == [
                ("a", 70, 50), ("b", 0, 0)]
            assert await wallet.wrong_charges(transaction) == []
    finally:
        await db.close()
