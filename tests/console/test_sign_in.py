"""Signing in by the pages and by programs: cookies, stages, proofs, links."""

from __future__ import annotations

import json

import pytest

from relayd.console import cookie
from relayd.control import account, sign_in
from relayd.core.totp import code_at
from tests.console.doors import EMAIL, PASSWORD, USERNAME, OpenConsole, opened
from tests.fakes import standing
from tests.fakes.authenticator import Authenticator

__all__ = ["opened"]
MINUTE_MS = 60_000


async def test_in_and_out(opened: OpenConsole) -> None:
    await opened.signed_up()
    led = await opened.get("/keys?x=1")
    assert led.headers["Location"] == "/sign-in?next=%2Fkeys%3Fx%3D1"
    answer = await opened.form("/sign-in", {
        "login": USERNAME, "password": PASSWORD, "next": "/keys"})
    assert (answer.status, answer.headers["Location"]) == (
        303, "/sign-in?next=/keys&signed=1")
    assert (await opened.get(answer.headers["Location"])).headers["Location"] == "/keys"
    [set_cookie] = answer.headers.getall("Set-Cookie")
    assert "HttpOnly" in set_cookie and "SameSite=Lax" in set_cookie and "Path=/" in set_cookie
    page = await opened.get("/keys")
    assert page.status == 200 and f'href="/settings">{USERNAME}</a>' in await page.text()
    assert (await opened.get("/sign-in?next=/usage")).headers["Location"] == "/usage"
    assert (await opened.form("/sign-out")).headers["Location"] == "/sign-in"
    assert (await opened.get("/keys")).status == 303


async def test_K1_over_tls_the_cookie_is_bound_to_the_host(opened: OpenConsole) -> None:
    assert cookie.name_of(cookie.SESSION, True) == "__Host-rd_sid"
    await opened.signed_up()
    answer = await opened.form("/sign-in", {"login": EMAIL, "password": PASSWORD})
    names = {each.partition("=")[0] for each in answer.headers.getall("Set-Cookie")}
    assert names <= {each.name for each in cookie.COOKIES}


async def test_nobody_is_led_to_another_site(opened: OpenConsole) -> None:
    await opened.signed_up()
    for evil in ("//evil.test", "https://evil.test", "/\\evil.test"):
        answer = await opened.form("/sign-in", {
            "login": EMAIL, "password": PASSWORD, "next": evil})
        assert answer.headers["Location"] == "/sign-in?next=/&signed=1"


async def test_wrong_ones_are_one_answer_and_slowed(opened: OpenConsole) -> None:
    await opened.signed_up()
    texts = set()
    for login in (EMAIL, "nobody@example.org"):
        answer = await opened.form("/sign-in", {"login": login, "password": "wrong"})
        assert answer.status == 401
        texts.add((await answer.text()).replace(login, ""))
    assert len(texts) == 1
    for _ in range(6):
        answer = await opened.form("/sign-in", {"login": EMAIL, "password": "wrong"})
    assert answer.status == 429 and int(answer.headers["Retry-After"]) >= 1


async def test_unknown_fields_422(opened: OpenConsole) -> None:
    answer = await opened.form("/sign-in", {"login": EMAIL, "password": "x", "remember": "1"})
    assert answer.status == 422


async def with_authenticator(opened: OpenConsole) -> bytes:
    """The secret of the authenticator of a new holder."""
    token = await opened.signed_up()
    status, said = await opened.api("POST", "/totp", token=token)
    assert status == 201 and "secret=" + said["secret"] in said["uri"]
    async with opened.db.reading() as transaction:
        me = await account.store_account.get(transaction, EMAIL)
        found = await sign_in.control_totp.store_totp.find(transaction, me.id)
    assert found is not None
    step = opened.now_ms // 30_000
    status, said = await opened.api(
        "POST", "/totp/confirm", {"code": code_at(found.secret, step)}, token)
    assert status == 201 and len(said["codes"]) == 10
    return found.secret


async def test_U2_with_an_authenticator_the_page_asks_for_its_code(opened: OpenConsole) -> None:
    secret = await with_authenticator(opened)
    answer = await opened.form("/sign-in", {
        "login": EMAIL, "password": PASSWORD, "next": "/keys"})
    assert answer.headers["Location"] == "/sign-in?next=/keys&signed=1"
    # half signed in, nothing opens
    assert (await opened.get("/keys")).status == 303
    text = await (await opened.get("/sign-in?next=/keys")).text()
    assert 'action="/sign-in/code"' in text and USERNAME not in text
    assert (await opened.form("/sign-in/code", {"code": "000000"})).status == 401
    opened.now_ms += 30_000
    code = code_at(secret, opened.now_ms // 30_000)
    answer = await opened.form("/sign-in/code", {"code": code, "next": "/keys"})
    assert answer.headers["Location"] == "/sign-in?next=/keys&signed=1"
    assert (await opened.get("/keys")).status == 200


async def test_the_same_for_programs(opened: OpenConsole) -> None:
    secret = await with_authenticator(opened)
    status, said = await opened.api(
        "POST", "/sessions", {"login": EMAIL, "password": PASSWORD})
    assert (status, said["stage"]) == (201, "factor")
    half = said["token"]
    assert (await opened.api("GET", "/account", token=half))[0] == 401
    opened.now_ms += 30_000
    code = code_at(secret, opened.now_ms // 30_000)
    status, said = await opened.api("POST", "/sessions/code", {"code": code}, half)
    assert (status, said["stage"]) == (201, "open")
    assert (await opened.api("GET", "/account", token=half))[0] == 401
    assert (await opened.api("GET", "/account", token=said["token"]))[1]["email"] == EMAIL
    assert (await opened.api("GET", "/factors", token=said["token"]))[1]["two_factors"]
    assert (await opened.api("POST", "/sessions/code", {"code": code}, said["token"]))[0] == 401
    assert (await opened.api("DELETE", "/sessions/current", token=said["token"]))[0] == 204
    assert (await opened.api("GET", "/account", token=said["token"]))[0] == 401


async def test_a_passkey_signs_in_and_proves(opened: OpenConsole) -> None:
    token = await opened.signed_up()
    device = Authenticator(opened.origin, "localhost")
    status, said = await opened.api("POST", "/passkeys/options", token=token)
    assert status == 200 and said["options"]["authenticatorSelection"]["userVerification"]
    status, made = await opened.api("POST", "/passkeys", {
        "name": "phone", "answer": device.create(said["options"])}, token)
    assert status == 201 and made["name"] == "phone"
    _, said = await opened.api("POST", "/sessions/passkey-options")
    answer = await opened.form("/sign-in/passkey", {
        "answer": json.dumps(device.get(said["options"])), "next": "/keys"})
    assert answer.headers["Location"] == "/sign-in?next=/keys&signed=1"
    assert (await opened.get("/keys")).status == 200
    opened.now_ms += 20 * MINUTE_MS
    assert (await opened.get("/settings/password")).headers["Location"].startswith("/prove")
    _, said = await opened.api("POST", "/sessions/passkey-options")
    answer = await opened.form("/prove/passkey", {
        "answer": json.dumps(device.get(said["options"])), "next": "/settings/password"})
    assert answer.headers["Location"] == "/settings/password"
    assert (await opened.get("/settings/password")).status == 200
    _, said = await opened.api("POST", "/sessions/passkey-options")
    status, said = await opened.api(
        "POST", "/sessions/passkey", {"answer": device.get(said["options"])})
    assert status == 201 and said["stage"] == "open"


@pytest.mark.parametrize("answer", ["", "x", "[]", "{}", '{"rawId": 1}', "[" * 20_000])
async def test_junk_for_a_passkey(opened: OpenConsole, answer: str) -> None:
    assert (await opened.form("/sign-in/passkey", {"answer": answer})).status == 400


async def test_U2_what_is_sensitive_asks_again_after_a_quarter_of_an_hour(
        opened: OpenConsole) -> None:
    await opened.signed_up()
    await opened.form("/sign-in", {"login": EMAIL, "password": PASSWORD})
    assert (await opened.get("/settings/password")).status == 200
    opened.now_ms += 15 * MINUTE_MS
    led = await opened.get("/settings/password")
    assert led.headers["Location"] == "/prove?next=%2Fsettings%2Fpassword"
    assert (await opened.get("/prove")).status == 200
    wrong = await opened.form("/prove", {"password": "wrong"})
    assert wrong.status == 401 and "This password is wrong." in await wrong.text()
    answer = await opened.form("/prove", {"password": PASSWORD, "next": "/settings/password"})
    assert answer.headers["Location"] == "/settings/password"
    assert (await opened.get("/settings/password")).status == 200


async def test_programs_prove_too(opened: OpenConsole) -> None:
    token = await opened.signed_up()
    opened.now_ms += 16 * MINUTE_MS
    status, said = await opened.api("PUT", "/password", {"password": "x" * 9}, token)
    assert (status, said["error"]["code"]) == (403, "proof_needed")
    status, said = await opened.api("POST", "/proof", {"password": PASSWORD}, token)
    assert status == 201
    status, said = await opened.api("PUT", "/password", {"password": "x" * 9}, said["token"])
    assert (status, said["error"]["code"]) == (422, "weak_password")


async def test_a_link_of_the_shell(opened: OpenConsole) -> None:
    made = await account.create(opened.db, "op@example.org", None, opened.now_ms)
    token = await sign_in.link(opened.db, made.id, opened.now_ms)
    assert token in await (await opened.get(f"/sign-in/link?token={token}")).text()
    answer = await opened.form("/sign-in/link", {"token": token})
    assert answer.headers["Location"] == "/sign-in?next=/overview&signed=1"
    assert (await opened.get("/settings")).status == 200
    assert (await opened.form("/sign-in/link", {"token": token})).status == 410


async def test_K5_without_cookies_it_says_why(opened: OpenConsole) -> None:
    await opened.signed_up()
    answer = await opened.form("/sign-in", {"login": EMAIL, "password": PASSWORD})
    async with opened.browser() as without:
        shown = await (await without.get(opened.origin + answer.headers["Location"])).text()
        assert "has not kept the cookie" in shown
        assert "has not kept" not in await (await without.get(opened.origin + "/sign-in")).text()
        # what needs no session is there
        for path in ("/legal/privacy", "/legal/cookies", "/sign-up"):
            assert (await without.get(opened.origin + path)).status == 200


async def test_who_is_terminated_is_led_to_their_data(opened: OpenConsole) -> None:
    await opened.signed_up()
    await standing.move(opened.db, EMAIL, "terminate", opened.now_ms)
    answer = await opened.form("/sign-in", {"login": EMAIL, "password": PASSWORD})
    led = await opened.get(answer.headers["Location"])
    assert led.headers["Location"] == "/privacy"
    assert (await opened.get("/privacy")).status == 200
    assert (await opened.get("/keys")).status == 409
