"""H3: the way to the verifier and back, over the wire; what else its messages hold is not kept."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from standardwebhooks import Webhook

from relayd.ops.config import IdentityConfig
from relayd.wire.verification import secret_of
from tests.console.asking import send
from tests.console.conftest import NOW_MS, Console
from tests.console.people import Person, person
from tests.privacy.canary import CONTENT, found_below

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
ON = IdentityConfig(
    "checkers", "https://verify.example/start", "Checkers", (secret_of(SECRET),))
PAGE = "/settings/identity"


@pytest.fixture
async def ann(console: Console) -> Person:
    console.config = replace(console.config, identity=ON)
    return await person(console.db, NOW_MS)


async def told(console: Console, reference: str, secret: str = SECRET) -> int:
    """As the verifier does, with more than is wanted of it."""
    raw = json.dumps({"type": "identity.checked", "data": {
        "reference": reference, "verdict": "verified", "level": "face", "check": "n-0815",
        "document": f"{CONTENT}passport" * 20, "name": f"{CONTENT}name"}})
    at = datetime.fromtimestamp(console.now_ms // 1000, UTC)
    headers = {"webhook-id": "m1", "webhook-timestamp": str(int(at.timestamp())),
               "webhook-signature": Webhook(secret).sign("m1", at, raw)}
    answer = await console.http.post(
        f"{console.origin}/identity/webhook", data=raw.encode(), headers=headers)
    return answer.status


async def reference(console: Console, ann: Person) -> str:
    answer = await console.post("/api/v1/identity", headers=ann.bearer)
    assert answer.status == 200
    page = json.loads(await answer.read())["page"]
    assert page.startswith(ON.page + "?")
    return parse_qs(urlsplit(page).query)["reference"][0]


async def known(console: Console, ann: Person) -> dict[str, object]:
    answer = await console.get("/api/v1/identity", headers=ann.bearer)
    found: dict[str, object] = json.loads(await answer.read())
    return found


async def test_H3_a_verdict_comes_back_and_is_shown(console: Console, ann: Person) -> None:
    sent = await reference(console, ann)
    assert await known(console, ann) == {"offered": True, "checks": []}
    assert [await told(console, sent) for _ in range(2)] == [204, 204]
    [check] = (await known(console, ann))["checks"]  # type: ignore[misc]
    assert {**check, "at": ""} == {
        "provider": "checkers", "verdict": "verified", "level": "face", "at": ""}
    text = await (await console.get(PAGE, cookies=ann.cookies)).text()
    assert "checkers" in text and "n-0815" not in text
    await console.db.checkpoint()
    assert found_below(console.db.directory) == {}


async def test_H3_forged_messages_are_nothing(console: Console, ann: Person) -> None:
    sent = await reference(console, ann)
    other = "whsec_" + base64.b64encode(b"o" * 32).decode()
    assert await told(console, sent, other) == 400 and await told(console, "x") == 400
    assert (await known(console, ann))["checks"] == []


async def test_the_page_leads_there_by_a_link(console: Console, ann: Person) -> None:
    before = await (await console.get(PAGE, cookies=ann.cookies)).text()
    assert ON.page not in before and f'href="{PAGE}"' in before
    answer = await send(console, ann, PAGE, PAGE)
    text = unescape(await answer.text())
    assert answer.status == 200 and f'href="{ON.page}?reference=' in text


async def test_H3_off_by_default(console: Console) -> None:
    ann = await person(console.db, NOW_MS)
    assert await known(console, ann) == {"offered": False, "checks": []}
    assert (await console.post("/api/v1/identity", headers=ann.bearer)).status == 404
    assert await told(console, "x") == 404
    text = await (await console.get(PAGE, cookies=ann.cookies)).text()
    assert "not set up here" in text and f'href="{PAGE}"' not in text
