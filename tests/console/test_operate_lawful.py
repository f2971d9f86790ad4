"""Lawful requests for operators: two people on two pages."""

from __future__ import annotations

from typing import Any

import pytest

from relayd.core.actor import Role
from tests.console.conftest import NOW_MS, Console
from tests.console.people import Person, person
from tests.console.test_key import api, send

PATH, API = "/operate/requests", "/api/v1/operate/requests"


def form(who: Person) -> dict[str, Any]:
    return {"account": who.email, "basis": "court_order", "authority": "Court of X",
            "reference": "12/26", "document_sha256": "ab" * 32, "scope": "calls",
            "since": "2026-01-01", "reason": "their letter"}


async def operator(console: Console, name: str, role: Role = "legal") -> Person:
    return await person(console.db, NOW_MS, role, name=name, two_factors=True)


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_S3_who_entered_it_cannot_approve_it(console: Console, language: str) -> None:
    who = await person(console.db, NOW_MS)
    one, other = await operator(console, "one"), await operator(console, "other")
    answer = await send(console, one, PATH, **form(who))
    path = answer.headers["Location"]
    text = await (await console.get(f"{path}?lang={language}", cookies=one.cookies)).text()
    assert "Court of X" in text and "/approve" not in text
    answer = await send(console, one, f"{path}/approve", reason="mine")
    assert answer.status == 403
    assert (await send(console, other, f"{path}/approve")).status == 400
    assert (await send(console, other, f"{path}/approve", reason="it is real")).status == 303
    text = await (await console.get(path, cookies=other.cookies)).text()
    assert "relayd requests produce" in text
    assert (await send(console, other, f"{path}/approve", reason="again")).status == 409
    listed = await (await console.get(PATH, cookies=one.cookies)).text()
    assert "Court of X" in listed


async def test_what_is_wrong_is_said_and_what_was_written_stays(console: Console) -> None:
    who, one = await person(console.db, NOW_MS), await operator(console, "one")
    for changes in ({"document_sha256": "x"}, {"since": "yesterday"}, {"reason": ""},
                    {"account": "nobody@example.org"}):
        answer = await send(console, one, PATH, **{**form(who), **changes})
        text = await answer.text()
        assert answer.status in (400, 404) and "Court of X" in text
    answer = await send(console, one, f"{PATH}/req_none/approve", reason="x")
    assert answer.status == 404


@pytest.mark.parametrize("role", ["support", "finance", "security"])
async def test_D3_other_roles_get_nothing(console: Console, role: Role) -> None:
    who, other = await person(console.db, NOW_MS), await operator(console, role, role)
    assert (await console.get(PATH, cookies=other.cookies)).status == 403
    assert (await send(console, other, PATH, **form(who))).status == 403


async def test_the_same_for_programs(console: Console) -> None:
    who = await person(console.db, NOW_MS)
    one, other = await operator(console, "one"), await operator(console, "other")
    status, made = await api(console, one, "POST", API, {**form(who), "scope": ["content"]})
    assert (status, made["state"]) == (201, "not_held")
    status, made = await api(console, one, "POST", API, {
        **form(who), "scope": ["profile"], "gag_until": "2028-01-01", "until": "2026-02-01"})
    assert (status, made["state"], made["requester"]) == (201, "open", one.account)
    path = f"{API}/{made['id']}"
    status, found = await api(console, one, "POST", f"{path}/approve", {"reason": "x"})
    assert (status, found["error"]["code"]) == (403, "two_persons")
    status, found = await api(console, other, "POST", f"{path}/refuse", {"reason": "x"})
    assert (status, found["state"]) == (200, "refused")
    status, found = await api(console, one, "GET", path)
    assert (status, found["approver"]) == (200, other.account)
    status, found = await api(console, one, "GET", API)
    assert status == 200 and len(found["requests"]) == 2
