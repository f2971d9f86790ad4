"""One's own sessions by the pages: seen, ended at once, and nobody else's."""

from __future__ import annotations

import pyotp

from tests.console.doors import EMAIL, PASSWORD, OpenConsole, opened

__all__ = ["opened"]


async def test_U2_a_session_is_seen_and_ended_at_once(opened: OpenConsole) -> None:
    token = await opened.signed_up()
    await opened.form("/sign-in", {"login": EMAIL, "password": PASSWORD})
    shown = await (await opened.get("/settings/sessions")).text()
    assert "127.0.0.1" in shown and "this one" in shown and "signed in" in shown
    status, sessions = await opened.api("GET", "/sessions", token=token)
    assert status == 200 and [each["current"] for each in sessions].count(True) == 1
    [other] = [each["id"] for each in sessions if each["current"]]
    answer = await opened.form(f"/settings/sessions/{other}/end")
    assert answer.headers["Location"] == "/settings/sessions"
    assert (await opened.api("GET", "/sessions", token=token))[0] == 401
    assert (await opened.get("/settings/sessions")).status == 200


async def test_all_others_end(opened: OpenConsole) -> None:
    first = await opened.signed_up()
    await opened.form("/sign-in", {"login": EMAIL, "password": PASSWORD})
    await opened.form("/settings/sessions/end-others")
    assert (await opened.api("GET", "/sessions", token=first))[0] == 401
    _, said = await opened.api("POST", "/sessions", {"login": EMAIL, "password": PASSWORD})
    status, ended = await opened.api("POST", "/sessions/end-others", token=said["token"])
    assert (status, ended) == (200, {"ended": 1})
    assert (await opened.get("/settings")).status == 303


async def test_one_that_is_signed_in_half_is_told_as_such_and_ends_with_the_others(
        opened: OpenConsole) -> None:
    token = await opened.signed_up()
    uri = (await opened.api("POST", "/totp", token=token))[1]["uri"]
    codes = [pyotp.parse_uri(uri).at(opened.now_ms // 1000 + after) for after in (0, 30)]
    await opened.api("POST", "/totp/confirm", {"code": codes[0]}, token)
    await opened.form("/sign-in", {"login": EMAIL, "password": PASSWORD})
    await opened.form("/sign-in/code", {"code": codes[1]})
    _, half = await opened.api("POST", "/sessions", {"login": EMAIL, "password": PASSWORD})
    assert half["stage"] == "factor"
    _, sessions = await opened.api("GET", "/sessions", token=token)
    assert {each["id"]: each["stage"] for each in sessions}[half["session"]] == "factor"
    assert [each["stage"] for each in sessions].count("open") == len(sessions) - 1
    shown = await (await opened.get("/settings/sessions")).text()
    assert shown.count("the second factor is still to come") == 1
    await opened.api("POST", "/sessions/end-others", token=token)
    _, sessions = await opened.api("GET", "/sessions", token=token)
    assert [(each["stage"], each["current"]) for each in sessions] == [("open", True)]
    opened.now_ms += 60_000
    code = pyotp.parse_uri(uri).at(opened.now_ms // 1000)
    assert (await opened.api("POST", "/sessions/code", {"code": code}, half["token"]))[0] == 401


async def test_nobody_ends_another_s(opened: OpenConsole) -> None:
    first = await opened.signed_up()
    second = await opened.signed_up(email="b@example.org", username="b")
    _, sessions = await opened.api("GET", "/sessions", token=first)
    status, said = await opened.api("DELETE", f"/sessions/{sessions[0]['id']}", token=second)
    assert (status, said["error"]["code"]) == (404, "session_not_found")
    assert (await opened.api("DELETE", f"/sessions/{sessions[0]['id']}", token=first))[0] == 204


async def test_wrong_attempts_are_seen(opened: OpenConsole) -> None:
    token = await opened.signed_up()
    await opened.api("POST", "/sessions", {"login": EMAIL, "password": "wrong"})
    status, seen = await opened.api("GET", "/sign-ins", token=token)
    assert status == 200 and seen[0]["outcome"] == "wrong_password"
    assert seen[0]["address"] == "127.0.0.1"
