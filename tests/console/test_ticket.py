"""Tickets on a holder's pages, by a mailed link, and for programs."""

from __future__ import annotations

import pytest

from relayd.control import ticket
from relayd.control.ticket import Writing
from relayd.core.actor import Actor
from relayd.core.ticket import BODY_CHARS_MAX
from tests.console.conftest import NOW_MS, Console
from tests.console.people import Person, person
from tests.console.test_key import api, send

SUPPORT = Actor("acct_s", frozenset({"support"}))


async def opened(console: Console, who: Person) -> str:
    answer = await send(console, who, "/privacy/tickets", about="privacy",
                        subject="A question", body="First line\nSecond <b>line</b>")
    assert answer.status == 303
    return answer.headers["Location"]


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_U5_written_read_and_closed(console: Console, language: str) -> None:
    who = await person(console.db, NOW_MS)
    path = await opened(console, who)
    answer = await console.get(f"{path}?lang={language}", cookies=who.cookies)
    text = await answer.text()
    assert "Second &lt;b&gt;line&lt;/b&gt;" in text and "2027-02-0" in text
    assert ("prompts" if language == "en" else "提示词") in text
    assert (await send(console, who, path, body="More")).status == 303
    listed = await (await console.get("/privacy/tickets", cookies=who.cookies)).text()
    assert "A question" in listed and "<textarea" in listed
    assert (await send(console, who, f"{path}/close")).status == 303
    text = await (await console.get(path, cookies=who.cookies)).text()
    assert "More" in text and "<textarea" not in text
    assert (await send(console, who, path, body="late")).status == 409


async def test_what_is_wrong_is_said_beside_the_field(console: Console) -> None:
    who = await person(console.db, NOW_MS)
    answer = await send(console, who, "/privacy/tickets", about="question", subject="kept")
    text = await answer.text()
    assert answer.status == 400 and "kept" in text and 'aria-invalid="true"' in text
    path = await opened(console, who)
    assert (await send(console, who, path)).status == 400
    answer = await send(console, who, path, body="kept" * BODY_CHARS_MAX)
    assert answer.status == 400 and "kept" * BODY_CHARS_MAX in await answer.text()


async def test_U5_nobody_else_s(console: Console) -> None:
    who, other = await person(console.db, NOW_MS), await person(console.db, NOW_MS)
    path = await opened(console, who)
    assert (await console.get(path, cookies=other.cookies)).status == 404
    assert (await send(console, other, path, body="x")).status == 404
    assert (await send(console, other, f"{path}/close")).status == 404
    name = path.rpartition("/")[2]
    for method, body in (("GET", None), ("POST", {"body": "x"}), ("DELETE", None)):
        status, found = await api(console, other, method, f"/api/v1/tickets/{name}", body)
        assert (status, found["error"]["code"]) == (404, "ticket_not_found")


async def test_X1_the_mailed_link_of_somebody_without_an_account(console: Console) -> None:
    made = await ticket.open_ticket(console.db, Writing(
        "minor", "A child", "is nine", contact="aunt@example.org"), NOW_MS)
    await ticket.answer(
        console.db, SUPPORT, made.id, "We froze it", NOW_MS, lambda path, token: path)
    token = ticket.token(console.db, made.id)
    text = await (await console.get(f"/contact/ticket?token={token}")).text()
    assert "We froze it" in text and "aunt@" not in text
    answer = await console.post("/contact/ticket", {"token": token, "body": "Thank you"})
    assert answer.status == 303  # loading it again writes nothing again
    text = await (await console.get(answer.headers["Location"])).text()
    assert text.count("Thank you") == 1
    answer = await console.post("/contact/ticket", {"token": token, "body": "kept \x00"})
    assert answer.status == 400 and "kept" in await answer.text()
    assert (await console.get("/contact/ticket?token=x")).status == 404
    answer = await console.post("/contact/ticket", {"token": made.id, "body": "x"})
    assert answer.status == 404


async def test_the_same_for_programs(console: Console) -> None:
    who = await person(console.db, NOW_MS)
    status, made = await api(console, who, "POST", "/api/v1/tickets", {
        "about": "billing", "subject": "s", "body": "b"})
    assert (status, made["class"], made["state"]) == (201, "billing", "open")
    path = f"/api/v1/tickets/{made['id']}"
    status, found = await api(console, who, "POST", path, {"body": "more"})
    assert status == 201 and [each["body"] for each in found["messages"]] == ["b", "more"]
    status, listed = await api(console, who, "GET", "/api/v1/tickets")
    assert status == 200 and [each["id"] for each in listed["tickets"]] == [made["id"]]
    async with console.http.delete(console.origin + path, headers=who.bearer) as answer:
        assert answer.status == 204
    status, found = await api(console, who, "GET", path)
    assert status == 200 and found["state"] == "closed"
