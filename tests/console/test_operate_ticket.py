"""Tickets for operators: the queue without words, a look that is seen, answers."""

from __future__ import annotations

import pytest

from relayd.control import audit, ticket
from relayd.control.ticket import Writing
from relayd.core.actor import Role
from relayd.core.ticket import BODY_CHARS_MAX
from tests.console.conftest import NOW_MS, Console
from tests.console.people import Person, person
from tests.console.test_key import api, send

QUEUE = "/operate/tickets"


async def operator(console: Console, role: Role = "support") -> Person:
    return await person(console.db, NOW_MS, role, name=role, two_factors=True)


async def made(console: Console, who: Person) -> str:
    opened = await ticket.open_ticket(console.db, Writing(
        "question", "Marker subject", "Marker body", account=who.account), NOW_MS)
    return opened.id


async def test_U5_the_queue_and_one(console: Console) -> None:
    who, support = await person(console.db, NOW_MS), await operator(console)
    name = await made(console, who)
    text = await (await console.get(QUEUE, cookies=support.cookies)).text()
    assert name in text and "Marker" not in text
    text = await (await console.get(f"{QUEUE}/{name}", cookies=support.cookies)).text()
    assert "Marker body" in text and "Who asks" in text and ">You," not in text
    answer = await send(console, support, f"{QUEUE}/{name}", body="kept" * BODY_CHARS_MAX)
    assert answer.status == 400 and "kept" * BODY_CHARS_MAX in await answer.text()
    assert (await send(console, support, f"{QUEUE}/{name}")).status == 400
    assert (await send(console, support, f"{QUEUE}/{name}", body="Our answer")).status == 303
    assert (await ticket.own(console.db, who.account, name)).messages[-1].body == "Our answer"
    assert (await send(console, support, f"{QUEUE}/{name}/close")).status == 303
    assert name not in await (await console.get(QUEUE, cookies=support.cookies)).text()
    listed = await (await console.get(f"{QUEUE}?closed=true", cookies=support.cookies)).text()
    assert name in listed
    looks = [entry.event.actor async for entry in audit.listing(console.db, target=who.account)
             if entry.event.action == "ticket.look"]
    assert set(looks) == {support.account}


@pytest.mark.parametrize("role", ["finance", "security"])
async def test_D3_other_roles_get_nothing(console: Console, role: Role) -> None:
    who, other = await person(console.db, NOW_MS), await operator(console, role)
    name = await made(console, who)
    for path in (QUEUE, f"{QUEUE}/{name}"):
        answer = await console.get(path, cookies=other.cookies)
        assert answer.status == 403 and "Marker" not in await answer.text()
    status, found = await api(console, other, "GET", f"/api/v1/operate/tickets/{name}")
    assert (status, found["error"]["code"]) == (403, "role_needed")


async def test_the_same_for_programs(console: Console) -> None:
    who, support = await person(console.db, NOW_MS), await operator(console)
    name = await made(console, who)
    status, found = await api(console, support, "GET", "/api/v1/operate/tickets")
    assert status == 200 and found["tickets"][0]["id"] == name
    assert "subject" not in found["tickets"][0]
    path = f"/api/v1/operate/tickets/{name}"
    status, found = await api(console, support, "POST", path, {"body": "Answer"})
    assert status == 200 and found["state"] == "answered"
    status, found = await api(console, support, "GET", "/api/v1/operate/tickets/tick_none")
    assert (status, found["error"]["code"]) == (404, "ticket_not_found")
