"""Passkeys of one's own, by the pages and by programs."""

from __future__ import annotations

import json

from tests.console.doors import EMAIL, PASSWORD, OpenConsole, opened
from tests.fakes.authenticator import Authenticator

__all__ = ["opened"]


async def test_added_by_the_page_and_removed(opened: OpenConsole) -> None:
    await opened.signed_up()
    await opened.form("/sign-in", {"login": EMAIL, "password": PASSWORD})
    shown = await (await opened.get("/settings/passkeys/new")).text()
    assert 'data-passkey="create"' in shown and "hidden" in shown and "passkey." in shown
    device = Authenticator(opened.origin, "localhost")
    answer = await opened.http.post(
        opened.origin + "/api/v1/passkeys/options", headers={"Origin": opened.origin})
    options = (await answer.json())["options"]
    assert (await opened.form("/settings/passkeys/new", {"name": "phone"})).status == 400
    made = await opened.form("/settings/passkeys/new", {
        "name": "phone", "answer": json.dumps(device.create(options))})
    assert made.headers["Location"] == "/settings/factors"
    shown = await (await opened.get("/settings/factors")).text()
    assert "phone" in shown
    found = shown.partition('action="/settings/passkeys/')[2].partition("/remove")[0]
    await opened.form(f"/settings/passkeys/{found}/remove")
    assert "phone" not in (await (await opened.get("/settings/factors")).text()).replace(
        "on your phone", "")


async def test_programs_list_and_remove(opened: OpenConsole) -> None:
    token = await opened.signed_up()
    device = Authenticator(opened.origin, "localhost")
    _, said = await opened.api("POST", "/passkeys/options", token=token)
    for answer in ({}, {"response": {}}, {"rawId": None, "response": {"clientDataJSON": "!"}}):
        status, refused = await opened.api(
            "POST", "/passkeys", {"name": "x", "answer": answer}, token)
        assert (status, refused["error"]["code"]) == (400, "passkey_refused")
    _, made = await opened.api(
        "POST", "/passkeys", {"name": "x", "answer": device.create(said["options"])}, token)
    assert (await opened.api("GET", "/passkeys", token=token))[1] == [made]
    other = await opened.signed_up(email="b@example.org", username="b")
    assert (await opened.api("DELETE", f"/passkeys/{made['id']}", token=other))[0] == 404
    assert (await opened.api("DELETE", f"/passkeys/{made['id']}", token=token))[0] == 204
