"""What accounts used follows their rollups; changes of money are numbered."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

import pytest

from relayd.core.account import Account
from relayd.core.posting import TransferKind, charge, move
from relayd.core.rollup import RollupKey, Sums
from relayd.store import account as account_rows
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


@pytest.mark.parametrize("seed", range(3))
async def test_money_is_balances_less_use_and_of_each_account_alone(
    db: Database, seed: int
) -> None:
    dice = Random(seed)
    accounts, currencies = ("a", "b", "c"), ("CNY", "USD")
    has, used, charged, credit, touched = [Counter[tuple[str, str]]() for _ in range(5)]
    async with db.writing() as transaction:
        for name in accounts:
            await account_rows.insert(
                transaction, Account(name, f"{name}@example.org", None, "active", 0))
        for number in range(80):
            key = account, currency = dice.choice(accounts), dice.choice(currencies)
            nano, what = dice.randrange(1, 99), dice.randrange(4)
            seen = await wallet.version(transaction)
            if what == 0:
                kind: TransferKind = dice.choice(("top_up", "grant"))
                await posting.post(transaction, move(
                    kind, f"c{number}", nano, currency, account=account, partner="p"), number)
                has[key] += nano
            elif what == 1:
                await use(transaction, account, nano, number % 3, currency)
                used[key] += nano
            elif what == 2:
                await wallet.set_credit(transaction, account, currency, nano % 3)
                credit[key] = nano % 3
            else:
                for due in await wallet.due(transaction, 1, account):
                    key = account, due.currency
                    await posting.post(transaction, charge(
                        f"use:{number}", due.used_nano - due.charged_nano, due.currency, account,
                        0), number)
                    has[key] -= due.used_nano - due.charged_nano
                    charged[key] = due.used_nano
                    await wallet.set_charged(transaction, due)
            touched[key] += 1
            for name in accounts:
                mine = [Money(name, word, has[name, word] - used[name, word] + charged[name, word],
                              credit[name, word])
                        for word in currencies if touched[name, word]]
                found = await wallet.of_account(transaction, name)
                assert found == [money for money in mine if money in found or any(money[2:])]
            assert {(money.account, money.currency)
                    for money in await wallet.changed(transaction, seen)} <= {key}
        assert await wallet.credited(transaction) == [
            money for name in accounts for money in await wallet.of_account(transaction, name)
            if money.credit_nano]
        assert sorted(await wallet.due(transaction, 99)) == sorted(
            Due(*key, used[key], charged[key]) for key in used if used[key] > charged[key])
        assert len(await wallet.due(transaction, 1)) == 1
        assert await wallet.wrong(transaction) == await wallet.wrong_charges(transaction) == []
        await transaction.run(
            "UPDATE account_use SET used_nano = used_nano + 1, charged_nano = charged_nano + 1"
            " WHERE account_id = 'a' AND currency = 'USD'")
        assert await wallet.wrong_charges(transaction) == [
            ("a", "USD", charged["a", "USD"] + 1, charged["a", "USD"])]
