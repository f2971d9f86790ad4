"""Authenticators: on after their first code, off with their recovery codes, always told."""

from __future__ import annotations

import asyncio

import pyotp
import pytest

from relayd.control import account, session, sign_in, totp
from relayd.control.door import Door
from relayd.core.errors import RelayError
from relayd.core.totp import RECOVERY_CODES, secret_text
from tests.fakes.audited import audited
from tests.fakes.door import CALLER, EMAIL, ORIGIN, PASSWORD, USERNAME, mails, registered
from tests.fakes.records import START_MS


async def refused(work: object) -> str:
    with pytest.raises(RelayError) as caught:
        await work  # type: ignore[misc]
    return caught.value.code


async def test_U2_an_authenticator_app_is_turned_on_and_off(door: Door) -> None:
    account_id = (await registered(door)).session.account
    me = await account.find(door.db, EMAIL)
    assert await refused(totp.pending(door.db, account_id)) == "factor_not_found"
    made = await totp.begin(door.db, me, START_MS)
    app = pyotp.parse_uri(totp.enrolment(made, me))
    assert app.name == USERNAME
    assert await totp.standing(door.db, account_id) == (False, 0)
    assert await refused(
        totp.confirm(door, account_id, "000000", CALLER, START_MS)) == "wrong_code"
    codes = await totp.confirm(door, account_id, app.at(START_MS // 1000), CALLER, START_MS)
    assert len(set(codes)) == RECOVERY_CODES
    assert await totp.standing(door.db, account_id) == (True, RECOVERY_CODES)
    assert await refused(totp.begin(door.db, me, START_MS)) == "account_state"
    await totp.remove(door, account_id, CALLER, START_MS)
    assert await totp.standing(door.db, account_id) == (False, 0)
    assert await refused(totp.remove(door, account_id, CALLER, START_MS)) == "factor_not_found"
    changes = [(fields["change"], fields["link"]) for kind, _, fields in await mails(door.db)
               if kind == "second_factor_changed"]
    assert changes == [(each, f"{ORIGIN}/settings/factors") for each in (
        "totp.add", "totp.remove")]


async def test_a_form_that_is_sent_twice_tells_codes_once(door: Door) -> None:
    account_id = (await registered(door)).session.account
    made = await totp.begin(door.db, await account.find(door.db, EMAIL), START_MS)
    code = pyotp.TOTP(secret_text(made.secret)).at(START_MS // 1000)
    done = await asyncio.gather(
        *(totp.confirm(door, account_id, code, CALLER, START_MS) for _ in range(4)),
        return_exceptions=True)
    [codes] = [each for each in done if isinstance(each, list)]
    assert [str(each) for each in done if not isinstance(each, list)] == ["factor_not_found"] * 3
    async with door.db.writing() as transaction:
        assert await totp.check(transaction, account_id, codes[0], START_MS) == "recovery"


async def test_sessions_that_came_in_without_one_end_when_it_is_on(door: Door) -> None:
    mine = await registered(door)
    account_id = mine.session.account
    stolen = await sign_in.sign_in(door, EMAIL, PASSWORD, CALLER, START_MS)
    waiting = await totp.begin(door.db, await account.find(door.db, EMAIL), START_MS)
    code = pyotp.TOTP(secret_text(waiting.secret)).at(START_MS // 1000)
    assert await refused(totp.confirm(
        door, account_id, "000000", CALLER, START_MS, mine.session.id)) == "wrong_code"
    assert await session.recognise(door.db, stolen.token, START_MS) is not None
    await totp.confirm(door, account_id, code, CALLER, START_MS, mine.session.id)
    assert await session.recognise(door.db, stolen.token, START_MS) is None
    assert await session.recognise(door.db, mine.token, START_MS) is not None


async def test_a_recovery_code_works_once(door: Door) -> None:
    account_id = (await registered(door)).session.account
    me = await account.find(door.db, EMAIL)
    made = await totp.begin(door.db, me, START_MS)
    app = pyotp.parse_uri(totp.enrolment(made, me))
    codes = await totp.confirm(door, account_id, app.at(START_MS // 1000), CALLER, START_MS)
    for right in ("recovery", None):
        async with door.db.writing() as transaction:
            assert await totp.check(
                transaction, account_id, codes[0].upper(), START_MS) == right
    others = await totp.new_codes(door, account_id, CALLER, START_MS)
    assert [act[:3] for act in await audited(door.db, "totp.codes")] == [
        ("totp.codes", account_id, account_id)]
    async with door.db.writing() as transaction:
        assert await totp.check(transaction, account_id, codes[1], START_MS) is None
        assert await totp.check(transaction, account_id, others[1], START_MS) == "recovery"
    assert await totp.standing(door.db, account_id) == (True, RECOVERY_CODES - 1)


async def test_without_one_no_code_is_right(door: Door) -> None:
    account_id = (await registered(door)).session.account
    assert await refused(totp.new_codes(door, account_id, CALLER, START_MS)) == "factor_not_found"
    made = await totp.begin(door.db, await account.find(door.db, EMAIL), START_MS)
    right = pyotp.TOTP(secret_text(made.secret)).at(START_MS // 1000)
    for code in ("000000", right):  # it is not on before it is confirmed
        async with door.db.writing() as transaction:
            assert await totp.check(transaction, account_id, code, START_MS) is None
            assert not await totp.is_on(transaction, account_id)


async def test_a_code_of_the_app_works_once(door: Door) -> None:
    account_id = (await registered(door)).session.account
    made = await totp.begin(door.db, await account.find(door.db, EMAIL), START_MS)
    app = pyotp.TOTP(secret_text(made.secret))
    await totp.confirm(door, account_id, app.at(START_MS // 1000), CALLER, START_MS)
    # neither again, nor one from before the last that was used
    for seconds, right in ((60, "totp"), (60, None), (30, None), (90, "totp")):
        async with door.db.writing() as transaction:
            assert await totp.check(transaction, account_id, app.at(
                START_MS // 1000 + seconds), START_MS + 60_000) == right
