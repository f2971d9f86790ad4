"""What is refused for whose account it is: clearly, in the audit log, and with nothing changed."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from relayd.control import (
    account, audit, conflict, grant, invoice, order, posting, role, standing, wallet,
)
from relayd.control.grant import Credit
from relayd.control.order import RefundWish
from relayd.control.standing import Grounds, Move
from relayd.core.actor import ROLES, SHELL, SYSTEM, Actor, Role
from relayd.core.errors import RelayError
from relayd.core.retention import Terms
from relayd.store.db import Database
from tests.control.test_invoice import NOW_MS, issued
from tests.fakes.records import START_MS
from tests.fakes.till import Till, till

__all__ = ["till"]
EMAIL = "fin@example.org"
FIVE = Credit(5 * 10 ** 9, "USD")
GROUNDS = Grounds("other", "https://relay.test", "a quarrel")


async def refused(work: Awaitable[object]) -> str:
    with pytest.raises(RelayError) as caught:
        await work
    return caught.value.code


async def operator(db: Database, *roles: Role, email: str = EMAIL) -> Actor:
    made = await account.create(db, email, None, START_MS)
    for each in roles:
        await role.give(db, SHELL, made.id, each, START_MS)
    return Actor(made.id, frozenset(roles))


async def tried(db: Database) -> list[tuple[str | None, str | None, str, str]]:
    """Who was refused whose account, what, and with which code."""
    found = []
    async for entry in audit.listing(db):
        if entry.event.action == "conflict.refuse":
            details = json.loads(entry.event.details)
            found.append((entry.event.actor, entry.event.target, details["action"],
                          details["code"]))
    return found


@pytest.mark.parametrize("written", ["{id}", " {id}", "{id}\n", EMAIL, f" {EMAIL.upper()} "])
async def test_one_s_own_account_is_one_s_own_however_it_is_written(
    db: Database, written: str
) -> None:
    own = await operator(db, "legal")
    assert own.account is not None
    who = written.format(id=own.account)
    assert await refused(
        conflict.judge_own(db, own, who, "request.open", START_MS)) == "own_account"
    assert await tried(db) == [(own.account, own.account, "request.open", "own_account")]
    other = await account.create(db, "other@example.org", None, START_MS)
    await conflict.judge_own(db, own, f" {other.id}", "request.open", START_MS)


@pytest.mark.parametrize("roles", [("finance",), ROLES])
async def test_finance_gives_nothing_to_its_own_account(
    db: Database, roles: tuple[Role, ...]
) -> None:
    own = await operator(db, *roles)
    assert own.account is not None
    for who in (own.account, EMAIL, EMAIL.upper()):
        assert await refused(grant.give_to(
            db, who, FIVE, "well earned", START_MS, own)) == "own_account"
        assert await refused(wallet.set_credit(
            db, who, "USD", "5", START_MS, own)) == "own_account"
    given = await grant.give_to(db, EMAIL, FIVE, "an outage", START_MS, SHELL)
    assert await refused(grant.end_one(
        db, given.id, "hidden", START_MS, own)) == "own_account"
    code = (await grant.make_code(db, FIVE, 1, None, START_MS, own)).text
    assert await refused(grant.redeem(
        db, own.account, code, START_MS, own)) == "own_account"
    [left] = await posting.balances(db, own.account)
    assert (left.balance, left.promo) == (0, FIVE.nano)
    actions = [action for _, _, action, _ in await tried(db)]
    assert actions == ["credit.grant", "credit.change"] * 3 + ["credit.end", "code.redeem"]
    assert {each[:2] + each[3:] for each in await tried(db)} == {
        (own.account, own.account, "own_account")}


async def test_what_finance_does_for_others_is_done(db: Database) -> None:
    own = await operator(db, "finance")
    other = await account.create(db, "ann@example.org", None, START_MS)
    made = await grant.give_to(db, "ann@example.org", FIVE, "an outage", START_MS, own)
    await grant.end_one(db, made.id, "a mistake", START_MS, own)
    await wallet.set_credit(db, other.id, "USD", "5", START_MS, own)
    code = (await grant.make_code(db, FIVE, 2, None, START_MS, own)).text
    await grant.redeem(db, other.id, code, START_MS, Actor(other.id))
    # a role that makes no codes takes some like everybody
    helper = await operator(db, "support", email="sup@example.org")
    await grant.redeem(db, helper.account or "", code, START_MS, helper)
    assert await tried(db) == []
    # and whoever is at the shell has no account
    await wallet.set_credit(db, EMAIL, "USD", "5", START_MS, SHELL)


async def test_finance_refunds_nothing_to_itself(till: Till) -> None:
    made, _ = await till.credited()
    own = Actor(till.holder, frozenset({"finance"}))
    wish = RefundWish(made.id, 100, "unused")
    assert await refused(order.refund(
        till.db, till.payments, own, wish, till.now_ms)) == "own_account"
    assert await refused(order.begin_refund(till.db, own, wish, till.now_ms)) == "own_account"
    assert await order.refunds(till.db, made.id) == []
    assert [each[2] for each in await tried(till.db)] == ["refund.ask"] * 2
    boss = Actor("acct_other", frozenset({"finance"}))
    assert (await order.begin_refund(till.db, boss, wish, till.now_ms)).state == "pending"


async def test_finance_takes_no_invoice_of_its_own_back(db: Database) -> None:
    own = await operator(db, "finance")
    made = await issued(db, own.account or "")
    work: Callable[[Actor], Any] = lambda who: invoice.void(  # noqa: E731
        db, who, made.id, "wrong", Terms(), NOW_MS)
    assert await refused(work(own)) == "own_account"
    assert (await invoice.own(db, own.account or "", made.id)).state == made.state
    assert (await work(Actor("acct_other", frozenset({"finance"})))).kind == "counter"


@pytest.mark.parametrize("step", ["suspend", "resume", "terminate"])
async def test_D3_support_moves_no_operator(db: Database, step: Move) -> None:
    support = await operator(db, "support", email="sup@example.org")
    security = await operator(db, "security", "legal", email="sec@example.org")
    owner = await operator(db, "owner", email="own@example.org")
    colleague = await operator(db, "finance", email="col@example.org")

    async def move(who: Actor, whom: Actor) -> str:
        assert whom.account is not None
        return (await standing.move(db, who, whom.account, step, GROUNDS, START_MS)).state

    if step == "resume":
        for each in (owner, colleague):
            await standing.move(db, SHELL, each.account or "", "suspend", GROUNDS, START_MS)
    before = {each.id: each.state for each in await account.listing(db)}
    for who, whom, code in (
            (support, owner, "operator_account"), (support, colleague, "operator_account"),
            (support, security, "operator_account"), (support, support, "own_account"),
            (security, owner, "operator_account"), (security, security, "own_account"),
            (owner, colleague, "operator_account")):
        assert await refused(move(who, whom)) == code
        assert (await tried(db))[-1] == (
            who.account, whom.account, f"account.{step}", code)
    assert {each.id: each.state for each in await account.listing(db)} == before
    told = [entry.event.action async for entry in audit.listing(db)]
    assert told.count("conflict.refuse") == 7
    ends = {"suspend": "suspended", "resume": "active", "terminate": "terminated"}
    assert await move(security, colleague) == ends[step]
    assert await move(SHELL, owner) == ends[step]


async def test_a_rule_suspends_whoever_it_is(db: Database) -> None:
    own = await operator(db, "finance")
    async with db.writing() as transaction:
        moved = await standing.suspend(transaction, SYSTEM, own.account or "", GROUNDS, START_MS)
    assert moved.state == "suspended"


async def test_an_address_that_nobody_has(db: Database) -> None:
    own = await operator(db, "finance")
    assert await refused(conflict.judge_own(
        db, own, "nobody@example.org", "credit.grant", START_MS)) == "account_not_found"
    await conflict.judge_own(db, own, "acct_nobody", "credit.grant", START_MS)
    await conflict.judge_own(db, SYSTEM, "nobody@example.org", "credit.grant", START_MS)
    assert await tried(db) == []
