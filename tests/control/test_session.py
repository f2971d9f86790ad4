"""Sessions: recognised by their token alone, renewed under another, ended at once."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from relayd.control import audit, role, session
from relayd.control.door import Door
from relayd.control.session import SESSIONS_MAX
from relayd.core.actor import SHELL
from relayd.core.errors import RelayError
from relayd.core.session import AGE_MS_MAX, IDLE_MS_MAX, TOUCH_MS
from relayd.core.timestamp import rfc3339
from relayd.store import holder as store_holder
from tests.fakes.door import CALLER, registered
from tests.fakes.records import START_MS


async def test_a_session_is_recognised_by_its_token(door: Door) -> None:
    opened = await registered(door)
    found = await session.recognise(door.db, opened.token, START_MS)
    assert found is not None and found.session == opened.session
    assert found.actor(CALLER).account == opened.session.account and found.roles == frozenset()
    for token in ("", "x", opened.token[:-1], opened.token[:-1] + "-", opened.session.id):
        assert await session.recognise(door.db, token, START_MS) is None
    assert opened.token not in repr(opened)


async def test_it_ends_by_idleness_and_lives_by_use(door: Door) -> None:
    opened = await registered(door)
    now = START_MS
    while now < START_MS + AGE_MS_MAX - IDLE_MS_MAX:
        now += IDLE_MS_MAX - TOUCH_MS
        assert await session.recognise(door.db, opened.token, now) is not None
    assert await session.recognise(door.db, opened.token, START_MS + AGE_MS_MAX) is None
    assert await session.listing(door.db, opened.session.account, START_MS + AGE_MS_MAX) == []


async def test_idle_for_a_day_it_is_over(door: Door) -> None:
    opened = await registered(door)
    assert await session.recognise(door.db, opened.token, START_MS + IDLE_MS_MAX) is None


@pytest.mark.parametrize("harm", ["", "sessions SET address", "accounts SET email"])
async def test_that_of_an_account_that_can_be_read_no_more_is_nobody_s(
    door: Door, harm: str
) -> None:
    """Its browser gets the public pages at least, and not one error for all of them."""
    opened = await registered(door)
    if harm:
        async with door.db.writing() as transaction:
            await transaction.run(f"UPDATE {harm} = zeroblob(60)")
    else:
        await door.db.keyring.destroy(opened.session.account)
    assert await session.recognise(door.db, opened.token, START_MS) is None


async def test_renewed_it_goes_on_under_another_token(door: Door) -> None:
    opened = await registered(door)
    async with door.db.writing() as transaction:
        renewed = await session.renew(transaction, opened.session, START_MS + 5, two_factors=True)
    assert await session.recognise(door.db, opened.token, START_MS + 5) is None
    found = await session.recognise(door.db, renewed.token, START_MS + 5)
    assert found is not None and found.session.id == opened.session.id
    assert found.session == renewed.session == replace(
        opened.session, used_at_ms=START_MS + 5, proved_at_ms=START_MS + 5, two_factors=True)


async def test_U2_a_revoked_session_ends_at_once(door: Door) -> None:
    opened = await registered(door)
    account_id, actor = opened.session.account, CALLER.actor(opened.session.account)
    async with door.db.writing() as transaction:
        other = await session.start(transaction, account_id, "password", CALLER, START_MS + 1)
    shown = [session.view(each, other.session.id)
             for each in await session.listing(door.db, account_id, START_MS + 1)]
    assert [each["current"] for each in shown] == [True, False]
    assert shown[0] == {
        "id": other.session.id, "device": "Firefox on Linux", "address": "192.0.2.7",
        "method": "password", "stage": "open", "two_factors": False,
        "created_at": rfc3339(START_MS + 1), "used_at": rfc3339(START_MS + 1),
        "ends_at": rfc3339(START_MS + 1 + IDLE_MS_MAX), "current": True}
    await session.end(door.db, actor, account_id, opened.session.id, START_MS + 2)
    assert await session.recognise(door.db, opened.token, START_MS + 2) is None
    with pytest.raises(RelayError) as caught:
        await session.end(door.db, actor, account_id, opened.session.id, START_MS + 2)
    assert caught.value.code == "session_not_found"
    with pytest.raises(RelayError):
        await session.end(door.db, actor, "acct_other", other.session.id, START_MS + 2)
    actions = [each.event.action async for each in audit.listing(door.db, target=account_id)]
    assert actions.count("session.end") == 1


async def test_all_but_one_end(door: Door) -> None:
    opened = await registered(door)
    account_id = opened.session.account
    async with door.db.writing() as transaction:
        for at in range(5):
            await session.start(transaction, account_id, "password", CALLER, START_MS + at)
    actor = CALLER.actor(account_id)
    assert await session.end_all(door.db, actor, account_id, START_MS, opened.session.id) == 5
    assert await session.end_all(door.db, actor, account_id, START_MS, opened.session.id) == 0
    left = await session.listing(door.db, account_id, START_MS)
    assert [each.id for each in left] == [opened.session.id]
    # the second time nothing ended, which is no event
    assert [orjson.loads(each.event.details) async for each in audit.listing(
        door.db, target=account_id) if each.event.action == "session.end"] == [{"sessions": 5}]


async def test_use_is_noted_now_and_then(door: Door) -> None:
    opened = await registered(door)

    async def noted(at_ms: int) -> tuple[int, int]:
        """When the session and its holder were last seen, after a use."""
        assert await session.recognise(door.db, opened.token, at_ms) is not None
        async with door.db.reading() as transaction:
            holder = await store_holder.find(transaction, opened.session.account)
        assert holder is not None
        [found] = await session.listing(door.db, opened.session.account, at_ms)
        return found.used_at_ms, holder.seen_at_ms

    assert await noted(START_MS + TOUCH_MS - 1) == (START_MS, START_MS)
    assert await noted(START_MS + TOUCH_MS) == (START_MS + TOUCH_MS,) * 2


async def test_there_are_never_too_many(door: Door) -> None:
    opened = await registered(door)
    for at in range(SESSIONS_MAX + 5):
        async with door.db.writing() as transaction:
            await session.start(
                transaction, opened.session.account, "password", CALLER, START_MS + at)
    left = await session.listing(door.db, opened.session.account, START_MS + 100)
    assert len(left) == SESSIONS_MAX and opened.session.id not in {each.id for each in left}


async def test_a_password_alone_ends_nobody_s_session(door: Door) -> None:
    opened = await registered(door)
    for at in range(SESSIONS_MAX + 5):
        async with door.db.writing() as transaction:
            await session.start(transaction, opened.session.account, "password", CALLER,
                                START_MS + 1 + at, stage="factor")
    left = await session.listing(door.db, opened.session.account, START_MS + 100)
    assert [each.stage for each in left].count("factor") == SESSIONS_MAX
    assert opened.session.id in {each.id for each in left}


async def test_roles_come_with_it(door: Door) -> None:
    opened = await registered(door)
    await role.give(door.db, SHELL, opened.session.account, "support", START_MS)
    # a session does not grow: its holder signs in again
    assert await session.recognise(door.db, opened.token, START_MS) is None
    async with door.db.writing() as transaction:
        opened = await session.start(
            transaction, opened.session.account, "password", CALLER, START_MS)
    found = await session.recognise(door.db, opened.token, START_MS)
    assert found is not None and found.actor(CALLER).has("support")
