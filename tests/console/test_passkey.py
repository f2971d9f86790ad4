"""Passkeys of one's own, by the pages and by programs."""

from __future__ import annotations

import json

from relayd.console import pages
from relayd.control import passkey
from relayd.core.passkey import Passkey
from relayd.store import passkey as store_passkey
from tests.console.asking import api
from tests.console.conftest import NOW_MS, Console
from tests.console.doors import EMAIL, PASSWORD, OpenConsole, opened
from tests.console.people import Person, person
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


async def test_an_operator_s_factors_are_not_changed_by_a_password_alone(
    console: Console
) -> None:
    """Whoever has the password, the mailbox or a link of the shell would make a factor of their
    own, and be let in to what the other one keeps shut."""
    routes = [route for route in pages.ROUTES if route.factors]
    assert {route.method for route in routes} == {"GET", "POST", "DELETE"} and len(routes) == 16
    who = await person(console.db, NOW_MS, "legal", name="legal")
    holder = await person(console.db, NOW_MS, name="holder")
    strong = await person(console.db, NOW_MS, "legal", name="strong", two_factors=True)
    begin = "/api/v1/totp"

    async def code(somebody: Person) -> str | None:
        status, said = await api(console, somebody, "POST", begin)
        return None if status == 201 else said["error"]["code"]

    # the first factor is made by whoever is there
    assert [await code(each) for each in (who, holder, strong)] == [None] * 3
    async with console.db.writing() as transaction:
        for each in (who, holder, strong):
            await store_passkey.insert(transaction, Passkey(
                f"pk_{each.account}", each.account, each.account.encode(), b"key", "phone", 0,
                NOW_MS))
    assert [await code(each) for each in (who, holder, strong)] == ["factor_needed", None, None]
    for route in routes:
        path = route.path.replace("{passkey}", f"pk_{who.account}")
        if route.is_api:
            status, said = await api(console, who, route.method, path)
            assert (status, said["error"]["code"]) == (403, "factor_needed"), path
        else:
            answer = await (console.get(path, cookies=who.cookies) if route.method == "GET"
                            else console.post(path, cookies=who.cookies))
            assert answer.headers["Location"].startswith("/settings/factors?next="), path
    assert len(await passkey.listing(console.db, who.account)) == 1
