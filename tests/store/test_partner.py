"""Partners' messages as rows: each once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relayd.core.partner import PartnerEvent
from relayd.store import partner as store_partner
from relayd.store.db import Database
from relayd.store.directory import StoreError
from relayd.store.partner import Heard

EVENT = PartnerEvent("card", "evt_1", "paid", "ord_1", "CNY", 5, "pi_1")


async def test_a_message_is_kept_once(db: Database) -> None:
    async with db.writing() as transaction:
        assert await store_partner.outcome_of(transaction, "card", "evt_1") is None
        await store_partner.insert(transaction, EVENT, "credited", 7)
        assert await store_partner.outcome_of(transaction, "card", "evt_1") == "credited"
        assert await store_partner.outcome_of(transaction, "other", "evt_1") is None
    with pytest.raises(StoreError):
        async with db.writing() as transaction:
            await store_partner.insert(transaction, EVENT, "already", 8)


async def test_what_nobody_has_looked_at(db: Database) -> None:
    async with db.writing() as transaction:
        await store_partner.insert(transaction, EVENT, "other_amount", 7)
        wanted = {"other_amount", "unknown_order"}
        assert await store_partner.unseen(transaction, wanted, 9) == [
            Heard("card", "evt_1", "paid", "ord_1", "other_amount", 7, None)]
        assert await store_partner.unseen(transaction, {"credited"}, 9) == []
        assert await store_partner.see(transaction, "card", "evt_1", 8)
        assert not await store_partner.see(transaction, "card", "evt_1", 9)
        assert await store_partner.unseen(transaction, wanted, 9) == []


async def test_the_oldest_go_first(db: Database) -> None:
    async with db.writing() as transaction:
        for at_ms in (9, 7, 8):
            await store_partner.insert(
                transaction, PartnerEvent("card", f"evt_{at_ms}", "paid", "ord_1"), "credited",
                at_ms)
        assert await store_partner.delete_before(transaction, 9, 1) == 1
        assert await store_partner.outcome_of(transaction, "card", "evt_7") is None
        assert await store_partner.delete_before(transaction, 9, 9) == 1
        assert await store_partner.outcome_of(transaction, "card", "evt_9") == "credited"


async def test_a_message_is_known_by_its_partner_and_its_name(db: Database) -> None:
    async with db.writing() as transaction:
        for at_ms, partner, name in ((5, "card", "e1"), (6, "card", "e2"), (7, "other", "e1")):
            await store_partner.insert(
                transaction, replace(EVENT, partner=partner, event=name), "unknown_order", at_ms)
        assert await store_partner.see(transaction, "card", "e1", 8)
        left = await store_partner.unseen(transaction, {"unknown_order"}, 9)
        assert [(each.partner, each.event) for each in left] == [("other", "e1"), ("card", "e2")]
        assert len(await store_partner.unseen(transaction, {"unknown_order"}, 1)) == 1
        assert await store_partner.delete_before(transaction, 7, 9) == 2
        assert await store_partner.outcome_of(transaction, "other", "e1") == "unknown_order"
