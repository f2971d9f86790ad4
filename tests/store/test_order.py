"""Orders, refunds and disputes as rows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relayd.control import account
from relayd.core.dispute import Dispute
from relayd.core.errors import RelayError
from relayd.core.order import Order
from relayd.core.refund import Refund
from relayd.store import order as store_order
from relayd.store.db import Database
from relayd.store.directory import StoreError
from relayd.store.order import OrderFilter

NOW = 1_800_000_000_000
KEY, ASKED = b"k" * 32, b"a" * 32


async def made(db: Database, number: int = 1, **change: object) -> Order:
    async with db.reading() as transaction:
        row = await transaction.row("SELECT id FROM accounts")
    holder = row[0] if row else (await account.create(db, "a@example.org", None, NOW)).id
    order = replace(Order(f"ord_{number}", holder, "card", "CNY", 100, "created", NOW + number,
                          NOW + 99), **change)  # type: ignore[arg-type]
    async with db.writing() as transaction:
        await store_order.insert(transaction, order, None, None)
    return order


async def test_an_order_comes_back_as_it_went(db: Database) -> None:
    order = await made(db, session="cs", page="https://x.test", trade="t", paid_at_ms=5,
                       refunded_minor=7)
    async with db.reading() as transaction:
        assert await store_order.get(transaction, order.id) == order
        assert await store_order.by_trade(transaction, "card", "t") == order
        assert await store_order.by_trade(transaction, "other", "t") is None
        assert await store_order.find(transaction, "ord_9") is None
        with pytest.raises(RelayError) as caught:
            await store_order.get(transaction, "ord_9")
    assert caught.value.code == "order_not_found"
    changed = replace(order, state="credited", page=None, refunded_minor=8)
    async with db.writing() as transaction:
        await store_order.update(transaction, changed)
        assert await store_order.get(transaction, order.id) == changed


async def test_listing(db: Database) -> None:
    orders = [await made(db, number) for number in range(1, 5)]
    second = replace(orders[1], state="credited")
    async with db.writing() as transaction:
        await store_order.update(transaction, second)
        holder = second.account
        assert await store_order.listing(transaction, OrderFilter(holder), 2) == [
            orders[3], orders[2]]
        assert await store_order.listing(
            transaction, OrderFilter(before="ord_3", states=("created",)), 9) == [orders[0]]
        assert await store_order.listing(transaction, OrderFilter("acct_other"), 9) == []
        assert await store_order.listing(transaction, OrderFilter(partner="other"), 9) == []
        assert await store_order.open_ones(transaction, NOW + 4, 9) == [orders[0], orders[2]]
        assert await store_order.open_ones(transaction, NOW + 9, 1, "ord_1") == [orders[2]]
        assert await store_order.open_ones(transaction, NOW + 9, 9, "ord_3") == [orders[3]]


async def test_pending_refunds_are_gone_through_whatever_fits_at_once(db: Database) -> None:
    order = await made(db, state="credited", paid_at_ms=NOW, trade="t")
    refunds = [Refund(f"rfd_{name}", order.id, 1, "pending", NOW + after)
               for after, name in ((0, "c"), (1, "a"), (1, "b"), (2, "0"))]
    async with db.writing() as transaction:
        for refund in reversed(refunds):
            await store_order.save_refund(transaction, refund)
        for most in (1, 2, 3, 9):
            found: list[Refund] = []
            after = (-1, "")
            while part := await store_order.pending_refunds(transaction, most, after):
                found += part
                after = part[-1].asked_at_ms, part[-1].id
                assert len(found) <= len(refunds)
            assert found == refunds


async def test_keys_are_unique_for_an_account(db: Database) -> None:
    order = await made(db)
    async with db.writing() as transaction:
        await store_order.insert(transaction, replace(order, id="ord_2"), KEY, ASKED)
        found = await store_order.by_client_key(transaction, order.account, KEY)
        assert found is not None and (found[0].id, found[1]) == ("ord_2", ASKED)
        assert await store_order.by_client_key(transaction, "acct_other", KEY) is None
    for again in (KEY, b"short"):
        with pytest.raises(StoreError):
            async with db.writing() as transaction:
                await store_order.insert(transaction, replace(order, id="ord_3"), again, ASKED)


@pytest.mark.parametrize("change", [
    {"amount_minor": 0}, {"amount_minor": -5}, {"state": "other"}, {"refunded_minor": 101},
    {"refunded_minor": -1}, {"account": "acct_nobody"}])
async def test_what_the_store_does_not_take(db: Database, change: dict[str, object]) -> None:
    order = await made(db)
    with pytest.raises(StoreError):
        async with db.writing() as transaction:
            other = replace(order, id="ord_2", **change)  # type: ignore[arg-type]
            await store_order.insert(transaction, other, None, None)


async def test_one_payment_pays_one_order(db: Database) -> None:
    await made(db, trade="t")
    with pytest.raises(StoreError):
        await made(db, 2, trade="t")
    await made(db, 3, trade="t", partner="other")


async def test_refunds_and_disputes(db: Database) -> None:
    order = await made(db)
    refund = Refund("rfd_1", order.id, 5, "pending", NOW)
    dispute = Dispute("dp_1", order.id, 5, "open", NOW)
    async with db.writing() as transaction:
        await store_order.save_refund(transaction, refund)
        await store_order.save_dispute(transaction, dispute)
        assert await store_order.pending_refunds(transaction, 9) == [refund]
        done = replace(refund, state="done", ended_at_ms=NOW + 1)
        won = replace(dispute, state="won", closed_at_ms=NOW + 1)
        await store_order.save_refund(transaction, done)
        await store_order.save_dispute(transaction, won)
        assert await store_order.refunds(transaction, order.id) == [done]
        assert await store_order.find_refund(transaction, "rfd_1", order.id) == done
        assert await store_order.find_refund(transaction, "rfd_1", "ord_9") is None
        assert await store_order.is_refund_of_another(transaction, "rfd_1", "ord_9")
        assert not await store_order.is_refund_of_another(transaction, "rfd_1", order.id)
        assert not await store_order.is_refund_of_another(transaction, "rfd_2", "ord_9")
        assert await store_order.pending_refunds(transaction, 9) == []
        assert await store_order.disputes(transaction, 9) == [won]
        assert await store_order.find_dispute(transaction, "dp_1", order.id) == won
        assert await store_order.find_dispute(transaction, "dp_1", "ord_9") is None
