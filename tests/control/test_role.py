"""Roles, and looks at what is personal: a reason, a quarter of an hour, told to its owner."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from relayd.control import account, audit, role, session
from relayd.control.door import Door
from relayd.control.role import REVEAL_MS
from relayd.core.actor import ROLES, SHELL, Actor
from relayd.core.errors import RelayError
from tests.fakes.door import CALLER, EMAIL, WISH, mails, registered
from tests.fakes.records import START_MS


async def refused(work: object) -> str:
    with pytest.raises(RelayError) as caught:
        await work  # type: ignore[misc]
    return caught.value.code


async def two(door: Door) -> tuple[Actor, str]:
    """An operator for support, and a holder's account."""
    holder = await registered(door)
    other = await registered(
        door, replace(WISH, email="op@example.org", username="op"), START_MS + 1)
    await role.give(door.db, SHELL, other.session.account, "support", START_MS)
    await mails(door.db)
    return (Actor(other.session.account, frozenset({"support"})), holder.session.account)


async def test_given_listed_and_taken(door: Door) -> None:
    opened = await registered(door)
    assert await role.give(door.db, SHELL, EMAIL, "finance", START_MS)
    assert not await role.give(door.db, SHELL, EMAIL, "finance", START_MS)
    await role.give(door.db, SHELL, EMAIL, "legal", START_MS)
    [(who, roles)] = await role.listing(door.db)
    assert who.email == EMAIL and roles == ("finance", "legal")
    assert await role.take(door.db, SHELL, EMAIL, "legal", START_MS)
    assert not await role.take(door.db, SHELL, EMAIL, "legal", START_MS)
    # whoever loses a role has to sign in again
    assert await session.recognise(door.db, opened.token, START_MS) is None
    assert [(each.event.action, orjson.loads(each.event.details)["role"])
            async for each in audit.listing(door.db, target=opened.session.account)
            if each.event.action.startswith("role.")] == [
        ("role.give", "finance"), ("role.give", "legal"), ("role.take", "legal")]


@pytest.mark.parametrize("state", ["unverified", "suspended", "closing", "terminated"])
async def test_an_account_that_does_not_work_gets_no_role(door: Door, state: str) -> None:
    who = (await registered(door)).session.account
    await role.give(door.db, SHELL, who, "legal", START_MS)
    async with door.db.writing() as transaction:
        await transaction.run("UPDATE accounts SET state = ?", (state,))
    assert await refused(role.give(door.db, SHELL, who, "finance", START_MS)) == "account_state"
    # and loses what it has
    assert await role.take(door.db, SHELL, who, "legal", START_MS)
    assert await role.listing(door.db) == []


async def test_a_change_of_roles_ends_sessions_and_none_does_not(door: Door) -> None:
    opened = await registered(door)
    assert not await role.take(door.db, SHELL, EMAIL, "legal", START_MS)
    assert await session.recognise(door.db, opened.token, START_MS) is not None
    assert await role.give(door.db, SHELL, EMAIL, "legal", START_MS)
    assert await session.recognise(door.db, opened.token, START_MS) is None


async def test_who_may_give_them(door: Door) -> None:
    operator, holder = await two(door)
    assert await refused(
        role.give(door.db, operator, holder, "support", START_MS)) == "role_needed"
    owner = Actor("acct_owner", frozenset({"owner"}))
    assert await role.give(door.db, owner, holder, "support", START_MS)
    own = Actor(holder, frozenset({"owner"}))
    for work in (role.give(door.db, own, holder, "legal", START_MS),
                 role.take(door.db, own, holder, "support", START_MS)):
        assert await refused(work) == "role_needed"
    assert [role.check_role(each) for each in ROLES] == list(ROLES)
    with pytest.raises(RelayError):
        role.check_role("admin")


async def shown(door: Door, actor: Actor, account_id: str, now_ms: int) -> str | None:
    async with door.db.reading() as transaction:
        found = await account.store_account.get(transaction, account_id)
        return await role.shown_email(transaction, actor, found, now_ms)


async def test_D3_a_reveal_has_a_reason_an_end_and_is_told(door: Door) -> None:
    operator, holder = await two(door)
    assert await shown(door, operator, holder, START_MS) == "C***@e***"
    for reason in ("", "  "):
        assert await refused(role.reveal(
            door.db, operator, holder, reason, START_MS, "/privacy")) == "reason_missing"
    until = await role.reveal(door.db, operator, holder, "ticket 7", START_MS, "/privacy")
    assert until == START_MS + REVEAL_MS == START_MS + 15 * 60_000
    assert await shown(door, operator, holder, until - 1) == EMAIL
    assert await shown(door, operator, holder, until) == "C***@e***"
    other = Actor("acct_other", frozenset({"support"}))
    assert await shown(door, other, holder, START_MS) == "C***@e***"
    [(kind, to, fields)] = await mails(door.db)
    assert (kind, to, fields["role"], fields["reason"]) == (
        "data_seen", EMAIL, "support", "ticket 7")


async def test_I1_each_reveal_is_an_audit_event_of_its_owner(door: Door) -> None:
    operator, holder = await two(door)
    for _ in range(2):
        await role.reveal(door.db, operator, holder, "ticket 7", START_MS, "/privacy")
    looks = [each async for each in audit.listing(door.db, target=holder)
             if each.event.action == "personal.look"]
    assert len(looks) == 2
    assert {(each.event.actor, each.reason) for each in looks} == {(operator.account, "ticket 7")}


async def test_D3_finance_sees_no_personal_data(door: Door) -> None:
    _, holder = await two(door)
    for roles in ({"finance"}, {"owner"}, set()):
        actor = Actor("acct_x", frozenset(roles))  # type: ignore[arg-type]
        assert await refused(
            role.reveal(door.db, actor, holder, "curious", START_MS, "/")) == "role_needed"
    assert await shown(door, CALLER.actor(holder), holder, START_MS) == "C***@e***"
