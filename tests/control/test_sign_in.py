"""Signing in: one answer for what is wrong, alerts for the owner, two stages with a factor."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from relayd.control import account, password, registration, session, sign_in, totp
from relayd.control.door import Caller, Door
from relayd.control.standing import Grounds
from relayd.control.standing import move as move_standing
from relayd.core.actor import SHELL
from relayd.core.errors import RelayError
from relayd.core.guard import ACCOUNT_MAX, FREE
from relayd.core.totp import code_at
from relayd.ops.clock import monotonic
from relayd.ops.hashing import Hashing
from tests.fakes.door import (
    CALLER, EMAIL, ORIGIN, PASSWORD, USERNAME, WISH, mailed_token, mails, registered,
)
from tests.fakes.records import START_MS

TRIES = 4
NEW = "violet copper hourglass nine"


async def refused(work: object) -> str:
    with pytest.raises(RelayError) as caught:
        await work  # type: ignore[misc]
    return caught.value.code


async def test_by_address_or_username(door: Door) -> None:
    await registered(door)
    for login in (EMAIL, EMAIL.lower(), f" {EMAIL} ", USERNAME, USERNAME.upper()):
        opened = await sign_in.sign_in(door, login, PASSWORD, CALLER, START_MS)
        assert opened.session.stage == "open" and opened.session.method == "password"
        assert await session.recognise(door.db, opened.token, START_MS) is not None
        await sign_in.sign_out(door.db, opened.session)
        assert await session.recognise(door.db, opened.token, START_MS) is None


async def test_a_wrong_name_and_a_wrong_password_are_one_answer(door: Door) -> None:
    await registered(door)
    for login, text in ((EMAIL, "wrong"), ("nobody@example.org", PASSWORD), ("nobody", PASSWORD),
                        ("", ""), (EMAIL, ""), (EMAIL, "x" * 100_000), ("\ud800@x", "x")):
        assert await refused(
            sign_in.sign_in(door, login, text, CALLER, START_MS)) == "wrong_credentials"
        door.guard.forgive(door.mark((await account.find(door.db, EMAIL)).id))


async def test_however_a_name_is_spelt_its_tries_are_one_count(door: Door) -> None:
    await registered(door, replace(WISH, email="Ren\u00e9@example.org"))
    codes = [[await refused(sign_in.sign_in(
                  door, f"{name}@example.org", "wrong", CALLER, START_MS))
              for name in spelt * FREE]
             for spelt in (("Ren\u00e9", "rene\u0301"), ("Nob\u00e9", "nobe\u0301"))]
    assert codes[0] == codes[1] and "sign_in_slowed" in codes[1]


async def test_attempts_at_an_address_do_not_tell_whose_username_goes_with_it(door: Door) -> None:
    await registered(door)
    for address, name in ((EMAIL, USERNAME), ("nobody@example.org", "nobody")):
        codes = [await refused(sign_in.sign_in(
                     door, login, "wrong", Caller(f"198.51.{at}.1", "curl"), START_MS))
                 for at, login in enumerate([address] * (FREE + 2) + [name])]
        assert codes[-2:] == ["sign_in_slowed", "wrong_credentials"]


async def test_a_wrong_name_and_a_wrong_password_take_as_long(door: Door) -> None:
    hashing = Hashing()
    slow = Door(door.db, hashing, lambda: ORIGIN)
    try:
        await registered(slow)
        for _ in range(TRIES):  # a machine that is busy for a moment is not at issue
            took = []
            for login in (EMAIL, "nobody@example.org"):
                began = monotonic()
                await refused(sign_in.sign_in(slow, login, "wrong", CALLER, START_MS))
                took.append(monotonic() - began)
            if abs(took[0] - took[1]) < 0.05:
                break
    finally:
        hashing.close()
    assert abs(took[0] - took[1]) < 0.05 and min(took) > 0.2


async def test_many_wrong_ones_lock_and_the_owner_is_told_once(door: Door) -> None:
    opened = await registered(door)
    codes = []
    for at in range(40):
        caller = Caller(f"198.51.{at}.1", "curl")
        codes.append(await refused(sign_in.sign_in(
            door, EMAIL, "wrong", caller, START_MS + at * 20_000)))
    assert codes.count("wrong_credentials") == ACCOUNT_MAX
    assert [kind for kind, _, _ in await mails(door.db)] == ["locked_out"]
    shown = [sign_in.view(each) for each in await sign_in.latest(
        door.db, opened.session.account)]
    assert [each["outcome"] for each in shown].count("wrong_password") == ACCOUNT_MAX
    assert "198.51.0.1" in [each["address"] for each in shown]


async def test_strangers_lock_nobody_out_at_home_nor_where_they_are_signed_in(door: Door) -> None:
    await registered(door)
    opened = await sign_in.sign_in(door, EMAIL, PASSWORD, CALLER, START_MS)
    for at in range(40):
        now = START_MS + at * 20_000
        await refused(sign_in.sign_in(
            door, EMAIL, "wrong", Caller(f"198.51.{at}.1", "curl"), now))
    away = Caller("203.0.113.1", "curl")
    assert await refused(sign_in.sign_in(door, EMAIL, PASSWORD, away, now)) == "sign_in_slowed"
    await sign_in.sign_in(door, EMAIL, PASSWORD, CALLER, now)
    await sign_in.prove(door, opened.session, PASSWORD, away, now)
    assert await refused(sign_in.sign_in(door, EMAIL, PASSWORD, away, now)) == "sign_in_slowed"


async def test_many_at_once_are_not_all_hashed(door: Door) -> None:
    await registered(door)
    work = [sign_in.sign_in(door, EMAIL, "wrong", Caller(f"198.51.{at}.1", "curl"), START_MS)
            for at in range(50)]
    done = await asyncio.gather(*work, return_exceptions=True)
    codes = [each.code for each in done if isinstance(each, RelayError)]
    assert codes.count("wrong_credentials") == FREE + 1
    assert codes.count("sign_in_slowed") == 49 - FREE


async def test_a_full_queue_does_not_count_against_anybody(door: Door) -> None:
    await registered(door)
    hashing = Hashing(threads=1, queue_max=-1, memory_kib=64, time_cost=1)
    full = Door(door.db, hashing, lambda: ORIGIN, guard=door.guard)
    try:
        for _ in range(ACCOUNT_MAX + 1):
            assert await refused(
                sign_in.sign_in(full, EMAIL, PASSWORD, CALLER, START_MS)) == "sign_in_busy"
    finally:
        hashing.close()
    await sign_in.sign_in(door, EMAIL, PASSWORD, CALLER, START_MS)


async def test_U2_a_new_device_is_told(door: Door) -> None:
    await registered(door)
    await sign_in.sign_in(door, EMAIL, PASSWORD, CALLER, START_MS)
    assert await mails(door.db) == []
    other = Caller("198.51.100.1", "Chrome on Windows")
    await sign_in.sign_in(door, EMAIL, PASSWORD, other, START_MS)
    [(kind, to, fields)] = await mails(door.db)
    assert (kind, to, fields["device"]) == ("new_sign_in", EMAIL, "Chrome on Windows")
    await sign_in.sign_in(door, EMAIL, PASSWORD, other, START_MS)
    assert await mails(door.db) == []


async def test_who_is_not_verified_gets_another_link(door: Door) -> None:
    await registration.register(door, WISH, CALLER, START_MS)
    await mails(door.db)
    assert await refused(
        sign_in.sign_in(door, EMAIL, PASSWORD, CALLER, START_MS)) == "wrong_credentials"
    assert [kind for kind, _, _ in await mails(door.db)] == ["verify_email"]
    # whoever signed up with another's address cannot flood their mailbox
    codes = [await refused(sign_in.sign_in(door, EMAIL, PASSWORD, CALLER, START_MS))
             for _ in range(20)]
    assert codes.count("wrong_credentials") <= FREE and "sign_in_slowed" in codes
    sent = [kind for kind, _, _ in await mails(door.db)]
    assert set(sent) == {"verify_email"} and len(sent) <= FREE


async def test_a_password_that_is_replaced_while_it_is_hashed_opens_nothing(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner sets a new one while somebody who knows the old one is at the door."""
    await registered(door)
    await password.forgot(door, EMAIL, CALLER, START_MS)
    token = await mailed_token(door.db, "reset_password")
    right = door.hashing.right

    async def slow(*values: Any, **more: Any) -> bool:
        found = await right(*values, **more)
        await password.reset(door, token, NEW, CALLER, START_MS + 1)
        return found

    monkeypatch.setattr(door.hashing, "right", slow)
    assert await refused(
        sign_in.sign_in(door, EMAIL, PASSWORD, CALLER, START_MS + 1)) == "wrong_credentials"
    monkeypatch.undo()
    me = await account.find(door.db, EMAIL)
    assert await session.listing(door.db, me.id, START_MS + 1) == []
    assert await refused(
        sign_in.sign_in(door, EMAIL, PASSWORD, CALLER, START_MS + 2)) == "wrong_credentials"
    await sign_in.sign_in(door, EMAIL, NEW, CALLER, START_MS + 2)


async def test_a_hash_is_made_anew_when_parameters_change(door: Door) -> None:
    await registered(door)
    hashing = Hashing(memory_kib=128, time_cost=2)
    stronger = Door(door.db, hashing, lambda: ORIGIN, steady_seconds=0.0)
    try:
        await sign_in.sign_in(stronger, EMAIL, PASSWORD, CALLER, START_MS)
        assert door.hashing.outdated(await _hash(door))
        assert not hashing.outdated(await _hash(door))
        await sign_in.sign_in(stronger, EMAIL, PASSWORD, CALLER, START_MS)
    finally:
        hashing.close()


async def _hash(door: Door) -> str:
    from_store = await sign_in.control_password.known(door.db, EMAIL)
    assert from_store[1] is not None and from_store[1].password is not None
    return from_store[1].password


async def test_with_an_authenticator_there_are_two_stages(door: Door) -> None:
    opened = await registered(door)
    me = await account.find(door.db, EMAIL)
    made = await totp.begin(door.db, me, START_MS)
    now_step = START_MS // 30_000
    codes = await totp.confirm(door, me.id, code_at(made.secret, now_step), CALLER, START_MS)
    first = await sign_in.sign_in(door, EMAIL, PASSWORD, CALLER, START_MS)
    assert first.session.stage == "factor" and not first.session.two_factors
    assert await refused(sign_in.second_factor(
        door, first.session, "000000", CALLER, START_MS)) == "wrong_code"
    # the code that confirmed it is used up
    assert await refused(sign_in.second_factor(
        door, first.session, code_at(made.secret, now_step), CALLER, START_MS)) == "wrong_code"
    later = START_MS + 30_000
    second = await sign_in.second_factor(
        door, first.session, code_at(made.secret, now_step + 1), CALLER, later)
    assert second.session.stage == "open" and second.session.two_factors
    assert second.token != first.token
    assert await session.recognise(door.db, first.token, later) is None
    with pytest.raises(AssertionError):
        await sign_in.second_factor(door, second.session, "000000", CALLER, later)
    by_code = await sign_in.sign_in(door, EMAIL, PASSWORD, CALLER, later)
    done = await sign_in.second_factor(door, by_code.session, codes[0], CALLER, later)
    assert done.session.method == "recovery" and opened.session.id != done.session.id


async def test_codes_cannot_be_guessed_for_long(door: Door) -> None:
    await registered(door)
    me = await account.find(door.db, EMAIL)
    made = await totp.begin(door.db, me, START_MS)
    await totp.confirm(door, me.id, code_at(made.secret, START_MS // 30_000), CALLER, START_MS)
    pending = await sign_in.sign_in(door, EMAIL, PASSWORD, CALLER, START_MS)
    await mails(door.db)
    heard = 0
    for at in range(100):
        code = await refused(sign_in.second_factor(
            door, pending.session, "000000", Caller(f"10.{at}.0.1", "curl"),
            START_MS + at * 5000))
        heard += code == "wrong_code"
    assert heard <= ACCOUNT_MAX
    assert "locked_out" in [kind for kind, _, _ in await mails(door.db)]


async def test_a_link_of_the_shell_signs_in_once(door: Door) -> None:
    made = await account.create(door.db, "operator@example.org", None, START_MS)
    text = await sign_in.link(door.db, made.id, START_MS)
    late = START_MS + 15 * 60_000
    assert await refused(sign_in.by_link(door, text, CALLER, late)) == "token_not_usable"
    opened = await sign_in.by_link(door, text, CALLER, START_MS)
    assert opened.session.method == "link" and opened.session.account == made.id
    assert [(each.outcome, each.method) for each in await sign_in.latest(door.db, made.id)] == [
        ("signed_in", "link")]
    assert await refused(sign_in.by_link(door, text, CALLER, START_MS)) == "token_not_usable"
    await registration.register(door, WISH, CALLER, START_MS)
    assert await refused(sign_in.link(door.db, EMAIL, START_MS)) == "account_state"


async def test_a_proof_renews_the_session(door: Door) -> None:
    opened = await registered(door)
    assert await refused(sign_in.prove(
        door, opened.session, "wrong", CALLER, START_MS)) == "wrong_credentials"
    later = START_MS + 3_600_000
    proved = await sign_in.prove(door, opened.session, PASSWORD, CALLER, later)
    assert proved.session.proved_at_ms == later and proved.token != opened.token
    assert await session.recognise(door.db, opened.token, later) is None


async def test_who_has_no_password_proves_themselves_by_a_code(door: Door) -> None:
    me = await account.create(door.db, "operator@example.org", None, START_MS)
    made = await totp.begin(door.db, me, START_MS)
    step, later = START_MS // 30_000 + 1, START_MS + 60_000
    await totp.confirm(door, me.id, code_at(made.secret, step - 1), CALLER, START_MS)
    half = await sign_in.by_link(
        door, await sign_in.link(door.db, me.id, START_MS), CALLER, START_MS)
    opened = await sign_in.second_factor(
        door, half.session, code_at(made.secret, step), CALLER, START_MS)
    for wrong in ("000000", ""):
        assert await refused(sign_in.prove(
            door, opened.session, wrong, CALLER, later)) == "wrong_credentials"
    proved = await sign_in.prove(
        door, opened.session, code_at(made.secret, step + 1), CALLER, later)
    assert proved.session.proved_at_ms == later
    codes = [await refused(sign_in.prove(door, proved.session, "000000", CALLER, later))
             for _ in range(ACCOUNT_MAX + 1)]
    assert codes[-1] == "sign_in_slowed"


async def test_who_is_suspended_may_sign_in_to_appeal(door: Door) -> None:
    await registered(door)
    await move_standing(door.db, SHELL, EMAIL, "suspend", Grounds("terms", ORIGIN), START_MS)
    opened = await sign_in.sign_in(door, EMAIL, PASSWORD, CALLER, START_MS)
    found = await session.recognise(door.db, opened.token, START_MS)
    assert found is not None and found.account.state == "suspended"


async def test_sign_ins_of_operators_are_in_the_audit_log(door: Door) -> None:
    opened = await registered(door)
    async with door.db.writing() as transaction:
        await sign_in.store_role.give(
            transaction, opened.session.account, "support", None, START_MS)
    await sign_in.sign_in(door, EMAIL, PASSWORD, CALLER, START_MS)
    actions = [each.event.action async for each in sign_in.audit.listing(
        door.db, target=opened.session.account)]
    assert actions.count("session.start") == 1
    assert replace(CALLER, via="api").actor("x").via == "api"
