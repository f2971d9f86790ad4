"""Consents as pages: item by item, and the gate before new terms."""

from __future__ import annotations

import re

import pytest

from relayd.console import pages
from relayd.console.consent import is_open
from relayd.control import consent
from relayd.core.consent import ITEMS, REQUIRED
from tests.console.conftest import NOW_MS, Console
from tests.console.letters import api, holder, material, send, settled, text_of
from tests.console.people import Person, person

PAGE = "/privacy/consents"


@pytest.fixture(autouse=True)
async def published(console: Console) -> None:
    await settled(console)


async def held(console: Console, who: Person) -> set[str]:
    async with console.db.reading() as transaction:
        found = await consent.standings(transaction, who.account, NOW_MS)
        return {each.item.name for each in found
                if each.holds}


async def test_items_are_withdrawn_and_given_one_by_one(console: Console) -> None:
    who = await holder(console, "marketing")
    text = await text_of(console, PAGE, who)
    assert text.count("<section class=\"card\"") == len(ITEMS)
    assert (await send(console, who, PAGE, PAGE, item="marketing")).status == 303
    assert await held(console, who) == {*REQUIRED, "improve"}
    await send(console, who, PAGE, PAGE, item="product", give="on")
    assert await held(console, who) == {*REQUIRED, "improve", "product"}
    text = await text_of(console, PAGE + "?lang=zh", who)
    assert "已撤回" in text and "明示同意" in text


@pytest.mark.parametrize(("fields", "status"), [
    ({"item": "privacy"}, 422), ({"item": "nonsense"}, 400), ({"item": "x", "more": "y"}, 422)])
async def test_what_cannot_be_withdrawn(
        console: Console, fields: dict[str, str], status: int) -> None:
    who = await holder(console)
    assert (await send(console, who, PAGE, PAGE, **fields)).status == status


async def test_the_api_does_the_same(console: Console) -> None:
    who = await holder(console)
    assert (await api(console, who, "PUT", "/api/v1/consents/product"))[0] == 204
    status, found, _ = await api(console, who, "GET", "/api/v1/consents")
    items = {each["item"]: each for each in found["items"]}
    assert status == 200 and items["product"]["holds"] and items["privacy"]["required"]
    assert found["history"][0]["channel"] == "api" and len(found["history"][0]["sha256"]) == 64
    assert (await api(console, who, "DELETE", "/api/v1/consents/product"))[0] == 204
    assert "product" not in await held(console, who)
    assert (await api(console, who, "DELETE", "/api/v1/consents/terms"))[0] == 422


async def test_G2_a_material_version_stands_before_pages_and_keys(console: Console) -> None:
    who = await holder(console)
    assert (await console.get("/keys", cookies=who.cookies)).status == 200
    await material(console)
    answer = await console.get("/keys", cookies=who.cookies)
    assert answer.status == 303 and answer.headers["Location"] == "/agree?next=%2Fkeys"
    status, found, _ = await api(console, who, "POST", "/api/v1/keys", {"name": "k"})
    assert (status, found["error"]["code"]) == (403, "consent_missing")
    # never before one's own data, the documents, or the way out
    for path in (PAGE, "/legal/privacy", "/contact", "/agree"):
        assert (await console.get(path, cookies=who.cookies)).status == 200, path
    assert (await api(console, who, "GET", "/api/v1/consents"))[0] == 200


def test_G2_what_the_gate_stands_before() -> None:
    gated = {(route.method, route.path) for route in pages.ROUTES
             if route.access.kind == "holder" and not is_open(route)}
    for method, path in (("GET", "/keys"), ("POST", "/keys/new"), ("POST", "/api/v1/keys"),
                         ("GET", "/overview"), ("POST", "/balance"), ("GET", "/calls")):
        assert (method, path) in gated
    rights = re.compile(r"privacy|consents|export$|erasure|tickets|sessions|passkey|totp|sign-out"
                        r"|revoke|password|email|notices|settings|account")
    assert {path for _, path in gated if rights.search(path)} <= {"/usage/export", "/calls/export"}
    assert ("DELETE", "/api/v1/keys/{key}") not in gated


async def test_G2_agreeing_opens_the_gate(console: Console) -> None:
    who = await holder(console)
    await material(console, items=("privacy", "improve"))
    text = await text_of(console, "/agree?next=/keys", who)
    boxes = re.findall(r'<input type="checkbox"[^>]*>', text)
    # O3: no box is ticked beforehand
    assert len(boxes) == 2 and not any("checked" in box for box in boxes)
    answer = await send(console, who, "/agree", "/agree", items="privacy", next="/keys")
    assert answer.status == 422 and 'role="alert"' in await answer.text()
    form = [("csrf", re.findall(r'name="csrf" value="(\w+)"', text)[0]), ("items", "privacy"),
            ("items", "improve"), ("next", "//evil.example")]
    answer = await console.post("/agree", form, cookies=who.cookies)
    assert answer.status == 303 and answer.headers["Location"] == "/"
    assert (await console.get("/keys", cookies=who.cookies)).status == 200
    last = (await consent.history(console.db, who.account))[-1]
    assert (last.act, last.served.version) == ("explicit", 2)
    assert (await console.get("/agree", cookies=who.cookies)).status == 303


async def test_G3_use_is_recorded_as_use(console: Console) -> None:
    who = await holder(console)
    await material(console, gate="none", items=())
    assert (await console.get("/keys", cookies=who.cookies)).status == 200
    rows = [(row.act, row.served.version) for row in await consent.history(console.db, who.account)
            if row.item == "privacy"]
    assert rows == [("explicit", 1), ("accepted_by_use", 2)]


async def test_O3_who_never_agreed_is_asked_first(console: Console) -> None:
    who = await person(console.db, NOW_MS)
    assert (await console.get("/overview", cookies=who.cookies)).headers["Location"] == (
        "/agree?next=%2Foverview")
    status, found, _ = await api(console, who, "POST", "/api/v1/keys", {"name": "k"})
    assert (status, found["error"]["code"]) == (403, "consent_missing")
    text = await text_of(console, "/agree", who)
    for item in REQUIRED:
        assert f'value="{item}"' in text


async def test_operators_work_on(console: Console) -> None:
    who = await person(console.db, NOW_MS, "support", two_factors=True)
    assert (await console.get("/keys", cookies=who.cookies)).status == 200
