"""Passwords: changed by whoever proved themselves, reset by a mailed link, always told."""

from __future__ import annotations

import pytest

from relayd.control import account, audit, password, session, sign_in
from relayd.control.door import Door
from relayd.core.errors import RelayError
from relayd.core.guard import ACCOUNT_MAX
from tests.fakes.audited import audited
from tests.fakes.door import (
    CALLER, EMAIL, PASSWORD, USERNAME, mailed_token, mails, registered,
)
from tests.fakes.records import START_MS

NEW = "another phrase nobody guesses"


async def refused(work: object) -> str:
    with pytest.raises(RelayError) as caught:
        await work  # type: ignore[misc]
    return caught.value.code


async def test_Y1_a_new_password_ends_other_sessions_and_is_told(door: Door) -> None:
    first = await registered(door)
    other = await sign_in.sign_in(door, EMAIL, PASSWORD, CALLER, START_MS)
    changed = await password.change(door, other.session, NEW, CALLER, START_MS + 1)
    for token in (first.token, other.token):
        assert await session.recognise(door.db, token, START_MS + 1) is None
    assert await session.recognise(door.db, changed.token, START_MS + 1) is not None
    assert [(kind, to) for kind, to, _ in await mails(door.db)] == [("password_changed", EMAIL)]
    who = other.session.account
    assert [act[:3] for act in await audited(door.db, "password.")] == [
        ("password.change", who, who)]
    assert await refused(
        sign_in.sign_in(door, EMAIL, PASSWORD, CALLER, START_MS)) == "wrong_credentials"
    await sign_in.sign_in(door, EMAIL, NEW, CALLER, START_MS)


async def test_a_weak_one_is_refused(door: Door) -> None:
    opened = await registered(door)
    for text in ("short", "iloveyou1234", "Canary.Person99"):
        assert await refused(
            password.change(door, opened.session, text, CALLER, START_MS)) == "weak_password"


async def test_a_mailed_link_sets_another_and_opens_a_locked_account(door: Door) -> None:
    opened = await registered(door)
    for at in range(ACCOUNT_MAX):
        assert await refused(sign_in.sign_in(
            door, EMAIL, "wrong", CALLER, START_MS + at * 40_000)) == "wrong_credentials"
    now = START_MS + ACCOUNT_MAX * 40_000
    assert await refused(sign_in.sign_in(door, EMAIL, PASSWORD, CALLER, now)) == "sign_in_slowed"
    await password.forgot(door, EMAIL.lower(), CALLER, now)
    token = await mailed_token(door.db, "reset_password")
    await password.reset(door, token, NEW, CALLER, now)
    assert await session.recognise(door.db, opened.token, now) is None
    await sign_in.sign_in(door, EMAIL, NEW, CALLER, now)
    assert await refused(password.reset(door, token, NEW, CALLER, now)) == "token_not_usable"
    who = await account.find(door.db, EMAIL)
    actions = [each.event.action async for each in audit.listing(door.db, target=who.id)]
    assert "password.reset" in actions and "signin.lock" in actions


async def test_a_weak_one_leaves_the_link_usable(door: Door) -> None:
    await registered(door)
    await password.forgot(door, EMAIL, CALLER, START_MS)
    token = await mailed_token(door.db, "reset_password")
    assert await refused(password.reset(door, token, "weak", CALLER, START_MS)) == "weak_password"
    await password.reset(door, token, NEW, CALLER, START_MS)


async def test_whoever_asks_for_a_link_is_answered_the_same(door: Door) -> None:
    await registered(door)
    await password.forgot(door, "nobody@example.org", CALLER, START_MS)
    await password.forgot(door, "not an address", CALLER, START_MS)
    assert await mails(door.db) == []


async def test_links_are_not_mailed_without_end(door: Door) -> None:
    await registered(door)
    codes = []
    for _ in range(8):
        try:
            await password.forgot(door, EMAIL, CALLER, START_MS)
        except RelayError as error:
            codes.append(error.code)
    assert codes and set(codes) == {"sign_in_slowed"}


async def test_a_session_that_is_ended_meanwhile_sets_no_password(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who got in hashes a password of theirs while the owner sets one by a mailed link."""
    thief = await registered(door)
    await password.forgot(door, EMAIL, CALLER, START_MS)
    token = await mailed_token(door.db, "reset_password")
    hash_ = door.hashing.hash

    async def slow(text: str) -> str:
        monkeypatch.undo()
        await password.reset(door, token, NEW, CALLER, START_MS + 1)
        return await hash_(text)

    monkeypatch.setattr(door.hashing, "hash", slow)
    assert await refused(password.change(
        door, thief.session, "a phrase of whoever got in", CALLER, START_MS)) == "session_ended"
    assert [kind for kind, _, _ in await mails(door.db)] == ["password_changed"]
    await sign_in.sign_in(door, EMAIL, NEW, CALLER, START_MS + 2)


@pytest.mark.parametrize("favoured", [True, False])
async def test_proofs_are_guessed_so_often_and_no_more(door: Door, favoured: bool) -> None:
    await registered(door)
    who = await account.find(door.db, EMAIL)

    async def proof(text: str, at_ms: int) -> bool:
        return await password.is_right(door, who, text, CALLER, at_ms, favoured=favoured)

    for at in range(3 * ACCOUNT_MAX):  # who is right is never slowed
        assert await proof(PASSWORD, START_MS + at)
    later = START_MS + 86_400_000
    for at in range(ACCOUNT_MAX):
        assert not await proof("wrong", later + at * 40_000)
    assert await refused(proof(PASSWORD, later + ACCOUNT_MAX * 40_000)) == "sign_in_slowed"


async def test_what_found_no_place_to_be_hashed_was_no_guess(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    await registered(door)
    who = await account.find(door.db, EMAIL)

    async def busy(*_: object, **__: object) -> bool:
        raise RelayError("sign_in_busy")

    monkeypatch.setattr(door.hashing, "right", busy)
    for _ in range(3 * ACCOUNT_MAX):
        assert await refused(password.is_right(
            door, who, PASSWORD, CALLER, START_MS)) == "sign_in_busy"


async def test_a_username_is_nobody_s_before_its_address_is_verified(door: Door) -> None:
    await registered(door)
    for login in (EMAIL, USERNAME, USERNAME.upper()):
        found, holder = await password.known(door.db, login)
        assert found is not None and holder is not None and holder.account == found.id
    async with door.db.writing() as transaction:
        await transaction.run("UPDATE accounts SET state = 'unverified'")
    assert await password.known(door.db, USERNAME) == (None, None)
    assert (await password.known(door.db, EMAIL))[0] is not None


async def test_an_account_that_an_operator_made_gets_its_password_by_mail(door: Door) -> None:
    made = await account.create(door.db, "ann@example.org", None, START_MS)
    await password.forgot(door, "ann@example.org", CALLER, START_MS)
    await password.reset(
        door, await mailed_token(door.db, "reset_password"), NEW, CALLER, START_MS)
    opened = await sign_in.sign_in(door, "ann@example.org", NEW, CALLER, START_MS)
    assert opened.session.account == made.id
