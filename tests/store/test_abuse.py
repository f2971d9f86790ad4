"""Abuse: what rules see, gathered from real rows; findings as rows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relayd.control import account, key, usage
from relayd.control.key import KeyWish
from relayd.core.abuse import Finding
from relayd.core.errors import RelayError
from relayd.core.holder import SignIn
from relayd.core.order import Order, OrderState
from relayd.core.timestamp import HOUR_MS
from relayd.store import abuse
from relayd.store import order as store_order
from relayd.store import sign_in as store_sign_in
from relayd.store.db import Database
from relayd.store.directory import StoreError
from tests.fakes.records import START_MS, call_record

NOW = START_MS + 200 * HOUR_MS


async def holder(db: Database, email: str = "a@example.org") -> str:
    return (await account.create(db, email, None, START_MS)).id


async def test_calls_of_the_hour_and_of_the_usual_one(db: Database) -> None:
    who = await holder(db)
    hours = [-1] * 5 + [-3] * 2 + [-4] * 4 + [-300]
    await usage.post(db, [call_record(account=who, started_at_ms=NOW + hour * HOUR_MS + number)
                          for number, hour in enumerate(hours)])
    await usage.post(db, [call_record(account="acct_quiet", started_at_ms=NOW - 9 * HOUR_MS)])
    async with db.reading() as transaction:
        assert await abuse.calls(transaction, NOW) == {who: [5, 3]}
        assert await abuse.calls(transaction, NOW + 2 * HOUR_MS) == {}


async def test_the_first_hour_has_no_usual_one(db: Database) -> None:
    who = await holder(db)
    await usage.post(db, [call_record(account=who, started_at_ms=NOW)])
    async with db.reading() as transaction:
        assert await abuse.calls(transaction, NOW + 5) == {who: [1, 0]}


async def test_payments_of_a_month(db: Database) -> None:
    who = await holder(db)
    states: tuple[OrderState, ...] = (
        "failed", "failed", "paid", "refunded", "disputed", "expired", "created", "pending")
    async with db.writing() as transaction:
        for number, state in enumerate(states):
            paid = state not in ("failed", "expired", "created", "pending")
            order = Order(f"ord_{number}", who, "card", "CNY", 100, state, NOW - number, NOW + 99)
            if paid:
                order = replace(order, trade=f"t{number}", paid_at_ms=NOW)
            await store_order.insert(transaction, order, None, None)
        await store_order.insert(transaction, Order(
            "ord_old", who, "card", "CNY", 100, "failed", NOW - abuse.MONTH_MS - 1, NOW),
            None, None)
        assert await abuse.payments(transaction, NOW) == {who: [5, 2, 2]}


async def test_wrong_sign_ins_of_an_hour(db: Database) -> None:
    who = await holder(db)
    rows = [("wrong_password", 1), ("wrong_code", 2), ("signed_in", 3), ("locked_out", 4),
            ("wrong_password", HOUR_MS + 1)]
    async with db.writing() as transaction:
        for number, (outcome, ago) in enumerate(rows):
            await store_sign_in.insert(transaction, SignIn(
                f"sign_{number}", who, NOW - ago, outcome,  # type: ignore[arg-type]
                "password", "Firefox on Linux", "192.0.2.1"))
        assert await abuse.wrong_sign_ins(transaction, NOW) == {who: [2]}


async def test_owners_and_new_accounts(db: Database) -> None:
    who = await holder(db)
    one = await key.create(db, who, KeyWish("a"), START_MS)
    two = await key.create(db, who, KeyWish("b"), START_MS)
    await key.revoke(db, two.key.id, START_MS)
    async with db.reading() as transaction:
        assert await abuse.owners(transaction, {one.key.id, two.key.id}) == {one.key.id: who}
        assert await abuse.owners(transaction, {"key_9"}) == {}
        assert await abuse.made_since(transaction, START_MS) == [who]
        assert await abuse.made_since(transaction, START_MS + 1) == []


async def test_findings_come_back_as_they_went(db: Database) -> None:
    finding = Finding("find_1", await holder(db), "velocity", 5, 7, 6, True)
    decided = replace(finding, state="lifted", decided_at_ms=9, decided_by="acct_9")
    async with db.writing() as transaction:
        await abuse.insert(transaction, finding)
        assert await abuse.get(transaction, " find_1 ") == finding
        assert await abuse.judged(transaction, 0) == {(finding.account, "velocity")}
        await abuse.update(transaction, decided)
        assert await abuse.listing(transaction) == [decided]
        assert await abuse.listing(transaction, state="open") == []
        assert await abuse.listing(transaction, account="acct_x") == []
        assert await abuse.judged(transaction, 9) == {(finding.account, "velocity")}
        assert await abuse.judged(transaction, 10) == set()
        with pytest.raises(RelayError):
            await abuse.get(transaction, "find_2")


async def test_one_open_finding_for_each_rule(db: Database) -> None:
    finding = Finding("find_1", await holder(db), "velocity", 5, 7, 6, True)
    with pytest.raises(StoreError):
        async with db.writing() as transaction:
            await abuse.insert(transaction, finding)
            await abuse.insert(transaction, replace(finding, id="find_2"))
