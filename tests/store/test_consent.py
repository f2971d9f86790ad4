"""The ledger of consents only grows."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from random import Random

import pytest

from relayd.core.account import Account
from relayd.core.consent import ITEMS, Consent, Served
from relayd.store import account, consent
from relayd.store.consent import ROUTED
from relayd.store.db import Database
from relayd.store.directory import StoreError

SERVED = Served("privacy", 2, "a" * 64, "zh", "console")


async def test_rows_come_back_in_order_and_never_change(db: Database) -> None:
    rows = [Consent("acct_1", "marketing", act, SERVED, at)
            for act, at in (("explicit", 1), ("withdrawn", 2), ("explicit", 3))]
    async with db.writing() as transaction:
        await account.insert(transaction, Account("acct_1", "a@example.org", None, "active", 0))
        for row in rows:
            await consent.insert(transaction, row)  # type: ignore[arg-type]
        assert await consent.history(transaction, "acct_1") == rows
        assert await consent.latest(transaction, "acct_1", "marketing") == rows[-1]
        assert await consent.latest(transaction, "acct_1", "product") is None
    with pytest.raises(StoreError):
        async with db.writing() as transaction:
            await transaction.run("UPDATE consents SET at_ms = 9")


async def test_only_an_explicit_row_agrees_to_a_version(db: Database) -> None:
    async with db.writing() as transaction:
        await account.insert(transaction, Account("acct_1", "a@example.org", None, "active", 0))
        await consent.insert(
            transaction, Consent("acct_1", "privacy", "accepted_by_use", SERVED, 1))
        assert not await consent.agreed_to(transaction, "acct_1", "privacy", 2)
        await consent.insert(transaction, Consent("acct_1", "privacy", "explicit", SERVED, 2))
        assert await consent.agreed_to(transaction, "acct_1", "privacy", 1)
        assert await consent.agreed_to(transaction, "acct_1", "privacy", 2)
        assert not await consent.agreed_to(transaction, "acct_1", "privacy", 3)


async def test_rows_outlive_the_account_by_their_term(db: Database) -> None:
    async with db.writing() as transaction:
        for name, state, email in (("acct_1", "erased", None), ("acct_2", "active", "b@c.d")):
            await account.insert(transaction, Account(
                name, email, None, state, 0, state_since_ms=100))  # type: ignore[arg-type]
            await consent.insert(transaction, Consent(name, "terms", "explicit", SERVED, 1))
        assert await consent.delete_of_erased(transaction, 100, 9) == 0
        assert await consent.delete_of_erased(transaction, 101, 9) == 1
        assert len(await consent.history(transaction, "acct_2")) == 1


@pytest.mark.parametrize("seed", range(3))
async def test_questions_are_answered_as_by_reading_the_whole_ledger(
    db: Database, seed: int
) -> None:
    dice = Random(seed)
    accounts, items, versions = ("acct_1", "acct_2", "acct_3"), (*ROUTED, "terms"), range(1, 5)
    rows = [Consent(dice.choice(accounts), dice.choice(items),
                    dice.choice(("explicit", "accepted_by_use", "withdrawn")),
                    replace(SERVED, version=dice.choice(versions)), at) for at in range(40)]
    async with db.writing() as transaction:
        assert await consent.latest_number(transaction) == 0
        for name in accounts:
            await account.insert(
                transaction, Account(name, f"{name}@example.org", None, "active", 0))
        for row in rows:
            await consent.insert(transaction, row)
        assert await consent.latest_number(transaction) == len(rows)
        for name, item in product(accounts, items):
            mine = [row for row in rows if (row.account_id, row.item) == (name, item)]
            assert await consent.latest(transaction, name, item) == (mine[-1] if mine else None)
            agreed = [row.served.version for row in mine if row.act == "explicit"]
            for version in versions:
                assert await consent.agreed_to(transaction, name, item, version) is (
                    max(agreed, default=0) >= version)
        for name in accounts:
            assert await consent.history(transaction, name) == [
                row for row in rows if row.account_id == name]
        for item, version in product(ROUTED, versions):
            last = {row.account_id: row for row in rows if row.item == item}
            holding = {name for name, row in last.items()
                       if row.act != "withdrawn" and row.served.version >= version}
            assert await consent.holding(transaction, item, version) == holding
            for among in ([], ["acct_2"], ["acct_1", "acct_3", "acct_9"]):
                assert await consent.holding(
                    transaction, item, version, among) == holding & {*among}


def test_which_consents_the_relay_goes_by() -> None:
    assert ROUTED == ("overseas_routes", "training_routes", "app_attribution")
    assert set(ROUTED) < set(ITEMS) and not any(ITEMS[item].required for item in ROUTED)
