"""The legal vault as rows: sealed under the year of their end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relayd.core.account import Account
from relayd.core.consent import Consent, Served
from relayd.core.order import Order
from relayd.core.refund import Refund
from relayd.core.retention import year_end_ms
from relayd.core.vault import Item
from relayd.store import account, consent, order, vault
from relayd.store.db import Database
from relayd.store.directory import StoreError
from relayd.store.transaction import Transaction

END_MS = year_end_ms(2029) - 5
ITEM = Item("vlt_1", "acct_1", "invoice", END_MS, 7, {"number": "12345", "title": "Zeisig Ltd"})


async def kept(db: Database) -> None:
    async with db.writing() as transaction:
        await vault.insert(transaction, ITEM)


async def test_what_is_kept_comes_back_and_is_sealed(db: Database) -> None:
    await kept(db)
    async with db.reading() as transaction:
        assert await vault.listing(transaction, "acct_1") == [ITEM]
        assert await vault.listing(transaction, "acct_2") == []
        [(year, content)] = await transaction.rows("SELECT year, content FROM legal_vault")
    assert year == 2029 and b"Zeisig" not in content


async def test_its_year_s_key_opens_it(db: Database) -> None:
    await kept(db)
    await db.keyring.destroy("vault:2029")
    async with db.reading() as transaction:
        with pytest.raises(StoreError) as caught:
            await vault.listing(transaction, "acct_1")
    assert caught.value.code == "data_key_gone"


async def test_a_year_is_empty_when_nothing_of_it_is_left(db: Database) -> None:
    await kept(db)
    async with db.writing() as transaction:
        owners = ["vault:2029"]
        assert await vault.empty_years(transaction, owners, 2040) == []
        assert await vault.delete_before(transaction, END_MS - 1, 9) == 0
        assert await vault.delete_before(transaction, END_MS, 9) == 1
        assert await vault.empty_years(transaction, owners, 2029) == []
        assert await vault.empty_years(transaction, owners, 2030) == [2029]


async def two_with_orders(transaction: Transaction) -> None:
    for number, name in enumerate(("acct_1", "acct_2")):
        await account.insert(
            transaction, Account(name, f"{number}@example.org", None, "active", 0))
        for at_ms, item in enumerate(("terms", "privacy")):
            await consent.insert(transaction, Consent(
                name, item, "explicit", Served(item, 1, "a" * 64, "en", "console"), at_ms))
        for order_id, state, trade, paid_ms in (
                ("a", "credited", "t1", 20), ("b", "pending", None, None),
                ("c", "refunded", "t2", 10), ("d", "expired", None, None)):
            await order.insert(transaction, Order(
                f"{order_id}{number}", name, "p", "CNY", 100, state,  # type: ignore[arg-type]
                5, 9, session=None if order_id == "d" else f"s{order_id}{number}",
                trade=trade and f"{trade}{number}", paid_at_ms=paid_ms), None, None)
        await order.save_refund(transaction, Refund(
            f"rf{number}", f"c{number}", 100, "done", 11, 30))


async def left(transaction: Transaction) -> list[str]:
    """The orders that have something of their partner's."""
    return [row[0] for row in await transaction.rows(
        "SELECT id FROM orders WHERE session IS NOT NULL OR trade IS NOT NULL ORDER BY id")]


async def test_E3_what_is_copied_and_released_is_of_one_account(db: Database) -> None:
    async with db.writing() as transaction:
        await two_with_orders(transaction)
        copies = await vault.copies(transaction, "consent", "acct_1", 99)
        assert [(at_ms, row["item"], row["at_ms"]) for at_ms, row in copies] == [
            (99, "terms", 0), (99, "privacy", 1)]
        # an order is complete with the last of its payment, its refunds and its disputes
        copies = await vault.copies(transaction, "order", "acct_1", 99)
        assert [(at_ms, row["id"], row["trade"]) for at_ms, row in copies] == [
            (20, "a0", "t10"), (30, "c0", "t20")]
        assert await vault.copies(transaction, "order", "acct_3", 99) == []
        await vault.release(transaction, "consent", "acct_1")
        await vault.release(transaction, "order", "acct_1")
        await vault.release(transaction, "dispute", "acct_1")
        assert await consent.history(transaction, "acct_1") == []
        assert len(await consent.history(transaction, "acct_2")) == 2
        assert await left(transaction) == ["a1", "b0", "b1", "c1"]


async def test_E3_what_was_not_ended_at_the_erasure_is_released_later(db: Database) -> None:
    async with db.writing() as transaction:
        await two_with_orders(transaction)
        await vault.release(transaction, "order", "acct_1")
        assert await vault.unreleased(transaction, 9) == []
        for name in ("acct_1", "acct_2"):
            found = await account.get(transaction, name)
            await account.update(transaction, replace(found, email=None, state="erased"))
        assert await vault.unreleased(transaction, 9) == ["acct_2"]
        await transaction.run("UPDATE orders SET state = 'expired' WHERE state = 'pending'")
        assert sorted(await vault.unreleased(transaction, 9)) == ["acct_1", "acct_2"]
        assert len(await vault.unreleased(transaction, 1)) == 1


@pytest.mark.parametrize(("before_ms", "gone"), [
    (20, []), (21, ["a0", "a1"]), (30, ["a0", "a1"]), (31, ["a0", "a1", "c0", "c1"])])
async def test_orders_that_were_complete_before_a_moment_lose_their_partner_s_names(
    db: Database, before_ms: int, gone: list[str]
) -> None:
    async with db.writing() as transaction:
        await two_with_orders(transaction)
        before = await left(transaction)
        assert await vault.anonymise_orders(transaction, before_ms, 1) == min(len(gone), 1)
        assert await vault.anonymise_orders(transaction, before_ms, 9) == max(len(gone) - 1, 0)
        assert await left(transaction) == [each for each in before if each not in gone]
