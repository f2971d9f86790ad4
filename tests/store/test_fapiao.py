"""Fapiao as rows: buyers and files sealed, numbers one's own, what counts against an order."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from relayd.core.account import Account
from relayd.core.errors import RelayError
from relayd.core.fapiao import Fapiao, Share
from relayd.core.order import Order
from relayd.store import account, fapiao, order
from relayd.store.db import Database
from relayd.store.directory import StoreError
from relayd.store.fapiao import FapiaoFilter

UNTIL_MS = 1_793_500_000_000
BLUE = Fapiao("fap_1", "acct_1", "ordinary", "issued", 1000, 57, 600, 5, UNTIL_MS,
              (Share("ord_1", 400), Share("ord_2", 600)), {"name": "王小明"}, number="2" * 20,
              issued_on="2026-11-29")
RED = Fapiao("fap_2", "acct_1", "ordinary", "red_requested", -450, -25, 600, 6, UNTIL_MS,
             (Share("ord_1", -400), Share("ord_2", -50)), {"name": "王小明"}, reason="03",
             reverses="fap_1")


@pytest.fixture
async def kept(db: Database) -> Database:
    async with db.writing() as transaction:
        await account.insert(transaction, Account("acct_1", "a@x.org", None, "active", 0))
        for name, minor in (("ord_1", 400), ("ord_2", 700)):
            await order.insert(transaction, Order(
                name, "acct_1", "p", "CNY", minor, "credited", 0, 1, paid_at_ms=0), None, None)
        for one in (BLUE, RED):
            await fapiao.insert(transaction, one)
    return db


async def test_read_as_it_was_written(kept: Database) -> None:
    async with kept.reading() as transaction:
        assert await fapiao.get(transaction, "fap_1") == BLUE
        assert await fapiao.listing(transaction, FapiaoFilter("acct_1"), 9) == [RED, BLUE]
        assert await fapiao.listing(
            transaction, FapiaoFilter(states=("issued",), before="fap_2"), 9) == [BLUE]
        assert await fapiao.listing(transaction, FapiaoFilter(reverses="fap_1"), 9) == [RED]
        with pytest.raises(RelayError):
            await fapiao.get(transaction, "fap_9")
    raw = b"".join(path.read_bytes() for path in kept.directory.glob("relayd.db*"))
    assert "王小明".encode() not in raw


async def test_what_is_left_and_what_counts(kept: Database) -> None:
    async with kept.writing() as transaction:
        assert await fapiao.left(transaction, BLUE) == (518, 32, 550)
        assert await fapiao.left_shares(transaction, BLUE) == (("ord_1", 0), ("ord_2", 550))
        assert await fapiao.unreversed(transaction, "fap_1") == 1000
        # a red one gives its orders back when it is issued
        assert await fapiao.taken(transaction, ["ord_1", "ord_2"]) == {"ord_1": 400, "ord_2": 600}
        await fapiao.update(transaction, replace(RED, state="red_issued", number="3" * 20))
        assert await fapiao.taken(transaction, ["ord_1", "ord_2"]) == {"ord_1": 0, "ord_2": 550}
        assert await fapiao.unreversed(transaction, "fap_1") == 550
        assert await fapiao.too_much(transaction, 9) == []
        await order.update(transaction, replace(
            await order.get(transaction, "ord_2"), refunded_minor=200))
        assert await fapiao.too_much(transaction, 9) == [("ord_2", "acct_1", 50)]
        await fapiao.update(transaction, replace(RED, state="red_refused"))
        assert await fapiao.left(transaction, BLUE) == BLUE.taxed


async def test_a_number_is_one_s_own(kept: Database) -> None:
    with pytest.raises(StoreError) as caught:
        async with kept.writing() as transaction:
            await fapiao.update(transaction, replace(RED, number=BLUE.number))
    assert caught.value.code == "store_refused"


async def test_files_and_the_end_of_all(kept: Database) -> None:
    async with kept.writing() as transaction:
        await fapiao.put_file(transaction, BLUE, "xml", b"<first/>", 1)
        await fapiao.put_file(transaction, BLUE, "xml", b"<zweite/>", 2)
        assert await fapiao.files(transaction, BLUE) == {"xml": b"<zweite/>"}
        assert await fapiao.files(transaction, RED) == {}
    raw = b"".join(path.read_bytes() for path in kept.directory.glob("relayd.db*"))
    assert b"zweite" not in raw and base64.b64encode(b"<zweite/>") not in raw
    for now_ms, gone in ((UNTIL_MS - 1, 0), (UNTIL_MS, 1), (UNTIL_MS, 1), (UNTIL_MS, 0)):
        async with kept.writing() as transaction:
            assert await fapiao.delete_before(transaction, now_ms, 9) == gone
    async with kept.reading() as transaction:
        for table in ("fapiao", "fapiao_orders", "fapiao_files"):
            assert await transaction.rows(f"SELECT 1 FROM {table}") == []
