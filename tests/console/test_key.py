"""Keys of one's own: made once shown, changed, rotated, revoked; never another's."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from aiohttp import ClientResponse

from relayd.console import key as console_key
from relayd.console.key import LIMITS
from relayd.control import audit, key, limit
from relayd.control.key import KeyWish
from relayd.core.key import looks_valid
from tests.console.conftest import NOW_MS, Console
from tests.console.letters import text_of
from tests.console.people import Person, person

CSRF = re.compile(r'name="csrf" value="([0-9a-f]{32})"')
TEXT = re.compile(r"sk-relayd-[0-9A-Za-z]{49}")


async def send(console: Console, who: Person, path: str, /, **fields: str) -> ClientResponse:
    """Sends a form as the page has it, with its token."""
    page = await console.get("/keys/new", cookies=who.cookies)
    token = CSRF.search(await page.text())
    assert token is not None
    return await console.post(path, {"csrf": token[1], **fields}, cookies=who.cookies)


async def api(console: Console, who: Person, method: str, path: str, body: Any = None) -> Any:
    """The answer's JSON and status."""
    async with console.http.request(method, console.origin + path, json=body,
                                    headers=who.bearer) as answer:
        return answer.status, await answer.json()


async def test_a_key_is_made_and_shown_once(console: Console) -> None:
    who = await person(console.db, NOW_MS)
    answer = await send(console, who, "/keys/new", name="laptop", app="editor",
                        models="gpt-4o, claude-*\ngemini-*", expires="30d",
                        requests_per_minute="60", daily_budget="2.50")
    text = await answer.text()
    [secret] = set(TEXT.findall(text))
    assert answer.status == 200 and looks_valid(secret)
    assert answer.headers["Cache-Control"] == "no-store"
    [made] = await key.listing(console.db, who.account)
    assert (made.name, made.app, made.models) == (
        "laptop", "editor", ("gpt-4o", "claude-*", "gemini-*"))
    assert made.expires_at_ms == NOW_MS + 30 * 86_400_000
    assert await limit.show(console.db, "key", made.id) == (
        made.id, {"daily_budget": 2_500_000_000, "requests_per_minute": 60})
    for path in ("/keys", f"/keys/{made.id}"):
        page = await (await console.get(path, cookies=who.cookies)).text()
        assert "laptop" in page and secret not in page and made.hint in page
    [event] = [entry.event async for entry in audit.listing(console.db, target=who.account)
               if entry.event.action == "key.create"]
    assert (event.actor, event.via) == (who.account, "console")


@pytest.mark.parametrize(("fields", "fault"), (
    ({"name": ""}, "name"), ({"name": "x", "expires": "yesterday"}, "expires"),
    ({"name": "x", "app": "y" * 65}, "app"), ({"name": "x", "concurrent": "-1"}, "concurrent"),
    ({"name": "x", "daily_budget": "1e3"}, "daily_budget"),
    ({"name": "x", "models": "m" * 201}, "models")))
async def test_what_is_wrong_is_marked_and_kept(
    console: Console, fields: dict[str, str], fault: str
) -> None:
    who = await person(console.db, NOW_MS)
    answer = await send(console, who, "/keys/new", **fields)
    text = await answer.text()
    assert answer.status == 400 and 'role="alert"' in text
    assert re.search(rf'name="{fault}"[^>]*aria-invalid="true"', text)
    if fields["name"]:
        assert 'value="x"' in text
    assert await key.listing(console.db, who.account) == []


async def test_a_key_is_changed(console: Console) -> None:
    who = await person(console.db, NOW_MS)
    _, made = await api(console, who, "POST", "/api/v1/keys", {
        "name": "old", "models": ["a"], "limits": {"concurrent": 3}})
    ref = made["key"]["id"]
    page = await (await console.get(f"/keys/{ref}", cookies=who.cookies)).text()
    assert 'value="old"' in page and 'name="concurrent" type="text" value="3"' in page
    answer = await send(console, who, f"/keys/{ref}", name="new", tokens_per_minute="5")
    assert (answer.status, answer.headers["Location"]) == (303, f"/keys/{ref}")
    _, found = await api(console, who, "GET", f"/api/v1/keys/{ref}")
    assert (found["name"], found["models"]) == ("new", None)
    assert found["limits"] == {**dict.fromkeys(LIMITS), "tokens_per_minute": 5}
    answer = await send(console, who, f"/keys/{ref}", name="")
    assert answer.status == 400


async def test_a_program_changes_what_it_names_alone(console: Console) -> None:
    who = await person(console.db, NOW_MS)
    _, made = await api(console, who, "POST", "/api/v1/keys", {
        "name": "old", "app": "shop", "models": ["a"], "expires": "7d",
        "limits": {"monthly_budget": "10"}})
    assert looks_valid(made["text"])
    path = f"/api/v1/keys/{made['key']['id']}"
    status, found = await api(console, who, "PATCH", path, {"name": "new"})
    assert status == 200 and found == {**made["key"], "name": "new"}
    assert found["limits"]["monthly_budget"] == "10.00"
    status, found = await api(console, who, "PATCH", path, {
        "app": None, "expires": None, "models": None, "limits": {}})
    assert found == {**made["key"], "name": "new", "app": None, "models": None,
                     "expires_at": None, "limits": dict.fromkeys(LIMITS)}
    status, found = await api(console, who, "PATCH", path, {"nmae": "x"})
    assert (status, found["error"]["code"]) == (422, "invalid_form")


async def test_rotating_leaves_the_old_key_some_time(console: Console) -> None:
    who = await person(console.db, NOW_MS)
    _, made = await api(console, who, "POST", "/api/v1/keys", {"name": "k"})
    ref = made["key"]["id"]
    console.now_ms += 1
    answer = await send(console, who, f"/keys/{ref}/rotate", grace="1h")
    [secret] = set(TEXT.findall(await answer.text()))
    assert answer.status == 200 and secret != made["text"]
    _, found = await api(console, who, "GET", "/api/v1/keys")
    new, old = found
    assert (new["replaces"], old["id"], old["state"]) == (ref, ref, "active")
    console.now_ms += 3_600_000
    _, found = await api(console, who, "GET", f"/api/v1/keys/{ref}")
    assert found["state"] == "expired"
    status, found = await api(console, who, "PATCH", f"/api/v1/keys/{ref}", {"name": "x"})
    assert (status, found["error"]["code"]) == (409, "key_state")
    status, found = await api(console, who, "POST", f"/api/v1/keys/{ref}/rotate", {})
    assert (status, found["error"]["code"]) == (409, "key_state")
    forms = {state: f"/keys/{each}/rotate" in await text_of(console, f"/keys/{each}", who)
             for state, each in (("expired", ref), ("active", new["id"]))}
    assert forms == {"expired": False, "active": True}
    await api(console, who, "POST", f"/api/v1/keys/{new['id']}/rotate", {"grace": "0h"})
    _, keys = await api(console, who, "GET", "/api/v1/keys")
    assert [each["state"] for each in keys] == ["active", "revoked", "expired"]


async def test_revoking_is_for_good(console: Console) -> None:
    who = await person(console.db, NOW_MS)
    _, first = await api(console, who, "POST", "/api/v1/keys", {"name": "a"})
    _, second = await api(console, who, "POST", "/api/v1/keys", {"name": "b"})
    answer = await send(console, who, f"/keys/{first['key']['id']}/revoke")
    assert (answer.status, answer.headers["Location"]) == (303, "/keys")
    status, found = await api(console, who, "DELETE", f"/api/v1/keys/{second['key']['id']}")
    assert (status, found["state"]) == (200, "revoked")
    page = await (await console.get(f"/keys/{first['key']['id']}", cookies=who.cookies)).text()
    assert "/rotate" not in page and "/revoke" not in page


async def test_no_key_is_anothers(console: Console) -> None:
    who, other = await person(console.db, NOW_MS), await person(console.db, NOW_MS)
    _, made = await api(console, other, "POST", "/api/v1/keys", {"name": "marker"})
    ref = made["key"]["id"]
    for method, path, body in (
        ("GET", "", None), ("PATCH", "", {"name": "x"}), ("DELETE", "", None),
        ("POST", "/rotate", {}),
    ):
        status, found = await api(console, who, method, f"/api/v1/keys/{ref}{path}", body)
        assert (status, found["error"]["code"]) == (404, "key_not_found")
    for path in ("", "/rotate", "/revoke"):
        fields = {"": {"name": "x"}, "/rotate": {"grace": "1h"}, "/revoke": {}}[path]
        assert (await send(console, who, f"/keys/{ref}{path}", **fields)).status == 404
    assert (await console.get(f"/keys/{ref}", cookies=who.cookies)).status == 404
    assert "marker" not in await (await console.get("/keys", cookies=who.cookies)).text()
    [kept] = await key.listing(console.db, other.account)
    assert (kept.name, kept.state, kept.expires_at_ms) == ("marker", "active", None)


async def test_a_list_is_bounded_however_many_keys_were_revoked(
    console: Console, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(key, "ENDED_SHOWN", 2)
    who = await person(console.db, NOW_MS)
    for number in range(4):
        made = await key.create(console.db, who.account, KeyWish(f"old {number}"), NOW_MS + number)
        await key.revoke(console.db, made.key.id, NOW_MS)
    await key.create(console.db, who.account, KeyWish("works"), NOW_MS)
    status, listed = await api(console, who, "GET", "/api/v1/keys")
    assert status == 200 and [each["name"] for each in listed] == ["works", "old 3", "old 2"]
    text = await (await console.get("/keys", cookies=who.cookies)).text()
    assert "Of the revoked keys the newest 2 are listed." in text and "old 1" not in text


async def test_a_thousand_keys_are_listed_a_page_at_a_time(
    console: Console, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(console_key, "LISTED", 3)
    who = await person(console.db, NOW_MS)

    async def listed(path: str) -> tuple[list[str], list[str]]:
        """The names, and where the page leads on to."""
        text = await (await console.get(path, cookies=who.cookies)).text()
        return (re.findall(r"<bdi>([^<]*)</bdi>", text),
                [unescape(each) for each in re.findall(r'href="(/keys\?[^"]*)"', text)])

    for number in range(7):
        made = await key.create(
            console.db, who.account, KeyWish(f"Key {number}", app="ed&it" if number % 2 else None,
                                             expires_at_ms=NOW_MS + 9 if number == 3 else None),
            NOW_MS + number)
        if number < 2:
            await key.revoke(console.db, made.key.id, NOW_MS)
    console.now_ms += 10
    names, (on,) = await listed("/keys")
    assert names == ["Key 6", "Key 5", "Key 4"]
    names, (first, on) = await listed(on)
    assert names == ["Key 2", "Key 3", "Key 1"]
    assert await listed(on) == (["Key 0"], [first])
    assert (await listed(first))[0] == ["Key 6", "Key 5", "Key 4"]
    names, (on,) = await listed("/keys?text=KEY&state=active")
    assert names == ["Key 6", "Key 5", "Key 4"] and (await listed(on))[0] == ["Key 2"]
    assert await listed("/keys?text=d%26i") == (["Key 5", "Key 3", "Key 1"], [])
    assert await listed("/keys?state=expired") == (["Key 3"], [])
    assert await listed(f"/keys?text={made.key.hint[-4:]}") == (["Key 6"], [])
    nothing = await (await console.get("/keys?text=other", cookies=who.cookies)).text()
    assert "No key is like that." in nothing and 'value="other"' in nothing
    assert (await console.get("/keys?state=odd", cookies=who.cookies)).status == 422
