"""Passwords by the pages: forgotten, reset, changed."""

from __future__ import annotations

import re

import pytest

from relayd.core.errors import RelayError
from tests.console.doors import EMAIL, PASSWORD, OpenConsole, opened

__all__ = ["opened"]
NEW = "another phrase nobody guesses"


async def test_forgotten_and_reset(opened: OpenConsole) -> None:
    token = await opened.signed_up()
    assert 'action="/forgot"' in await (await opened.get("/forgot")).text()
    answers = [await opened.form("/forgot", {"email": each})
               for each in (EMAIL, "nobody@example.org", "not an address")]
    assert {(each.status, each.headers["Location"]) for each in answers} == {
        (303, "/forgot/sent")}
    link = await opened.mailed("reset_password")
    assert link.startswith("/reset?token=")
    shown = await (await opened.get(link)).text()
    found = re.search(r'name="token" value="([^"]+)"', shown)
    assert found is not None
    weak = await opened.form("/reset", {"token": found[1], "password": "weak"})
    assert weak.status == 422 and found[1] in await weak.text()
    done = await opened.form("/reset", {"token": found[1], "password": NEW})
    assert done.headers["Location"] == "/sign-in"
    assert (await opened.api("GET", "/account", token=token))[0] == 401
    assert (await opened.form("/reset", {"token": found[1], "password": NEW})).status == 410
    assert (await opened.form("/sign-in", {"login": EMAIL, "password": PASSWORD})).status == 401
    assert (await opened.form("/sign-in", {"login": EMAIL, "password": NEW})).status == 303


async def test_Y1_changed_in_the_settings(opened: OpenConsole) -> None:
    other = await opened.signed_up()
    await opened.form("/sign-in", {"login": EMAIL, "password": PASSWORD})
    assert (await opened.get("/settings/password")).status == 200
    assert (await opened.form("/settings/password", {"password": "weak"})).status == 422
    done = await opened.form("/settings/password", {"password": NEW})
    assert done.headers["Location"] == "/settings" and "Set-Cookie" in done.headers
    assert (await opened.get("/settings")).status == 200
    assert (await opened.api("GET", "/account", token=other))[0] == 401


async def test_the_same_for_programs(opened: OpenConsole) -> None:
    token = await opened.signed_up()
    for email in (EMAIL, "nobody@example.org"):
        status, said = await opened.api("POST", "/password/forgot", {"email": email})
        assert (status, said) == (202, {"next": "mail"})
    mailed = await opened.token("reset_password")
    status, said = await opened.api("PUT", "/password", {"password": NEW}, token)
    assert status == 200 and said["token"] != token
    assert (await opened.api("GET", "/account", token=token))[0] == 401
    assert (await opened.api("GET", "/account", token=said["token"]))[0] == 200
    status, _ = await opened.api(
        "POST", "/password/reset", {"token": mailed, "password": PASSWORD})
    assert status == 204
    assert (await opened.api("GET", "/account", token=said["token"]))[0] == 401


async def test_whose_session_ends_meanwhile_is_led_to_the_door(
    opened: OpenConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ended(*_: object) -> None:
        raise RelayError("session_ended")

    cookies = {"rd_sid": await opened.signed_up()}
    opened.http.cookie_jar.update_cookies(cookies)
    monkeypatch.setattr("relayd.control.password.change", ended)
    answer = await opened.form("/settings/password", {"password": "violet copper hourglass"})
    assert answer.status == 303 and answer.headers["Location"].startswith("/sign-in")
