"""The way out, as a holder goes it: what goes, closing, calling it off, the certificate."""

from __future__ import annotations

import json
import re

import pytest
from aiohttp import ClientSession

from relayd.control import account, erasure, session
from relayd.control.erasure import Means
from relayd.core.erasure import COOLING_MS
from relayd.core.retention import Terms
from relayd.store.signing import Signer
from tests.console.conftest import NOW_MS, Console
from tests.console.people import BROWSER, Person, person
from tests.console.test_key import CSRF, api, send
from tests.fakes.person import said

SIGNER = Signer(bytes(32))


async def state(console: Console, who: Person) -> str:
    return (await account.find(console.db, who.account)).state


async def closed(console: Console) -> tuple[Person, dict[str, str]]:
    """Somebody who closed their account, and what the mail says."""
    who = await person(console.db, NOW_MS)
    answer = await send(console, who, "/privacy/erase", understood="on")
    assert answer.status == 200
    return who, await said(console.db, "erasure_asked")


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_Y2_the_page_says_what_goes_and_what_stays(console: Console, language: str) -> None:
    who = await person(console.db, NOW_MS)
    answer = await console.get(f"/privacy/erase?lang={language}", cookies=who.cookies)
    text = await answer.text()
    assert answer.status == 200 and "2030-01" in text
    assert ("audit log" if language == "en" else "审计日志") in text
    status, found = await api(console, who, "GET", "/api/v1/erasure")
    assert status == 200 and found["goes"]["profile"] == 1 and found["waiting"] is None
    assert {each["part"] for each in found["stays"]} == {"audit", "erasures"}


async def test_Y2_nothing_happens_without_the_box(console: Console) -> None:
    who = await person(console.db, NOW_MS)
    answer = await send(console, who, "/privacy/erase")
    assert answer.status == 422 and await state(console, who) == "active"


async def test_Y2_nothing_happens_without_a_proof(console: Console) -> None:
    who = await person(console.db, NOW_MS)
    console.now_ms += 3_600_000
    answer = await send(console, who, "/privacy/erase", understood="on")
    assert answer.status == 303 and await state(console, who) == "active"


async def test_Y2_closing_ends_every_session_and_a_link_calls_it_off(console: Console) -> None:
    who, mail = await closed(console)
    assert await state(console, who) == "closing"
    answer = await console.get("/privacy", cookies=who.cookies)
    assert answer.status == 303 and answer.headers["Location"].startswith("/sign-in")
    path = re.sub(r"^https?://[^/]+", "", mail["link"])
    text = await (await console.get(path)).text()
    # following the link alone changes nothing: programs that check mails follow links too
    assert "2027-01-22" in text and await state(console, who) == "closing"
    token = path.partition("token=")[2]
    answer = await console.post("/privacy/erasure/cancel", {"token": token})
    assert answer.status == 200 and await state(console, who) == "active"
    assert (await console.post("/privacy/erasure/cancel", {"token": token})).status == 404
    assert (await console.get("/privacy/erasure/cancel?token=x")).status == 404


async def test_Y2_signing_in_calls_it_off_too(console: Console) -> None:
    who, _ = await closed(console)
    again = await another_session(console, who)
    text = await (await console.get("/privacy/erase", cookies=again.cookies)).text()
    assert "2027-01-22" in text
    # nothing else is open to it
    assert (await console.get("/keys", cookies=again.cookies)).status != 200
    token = CSRF.search(text)
    assert token is not None
    form = {"csrf": token[1]}
    answer = await console.post("/privacy/erase/keep", form, cookies=again.cookies)
    assert answer.status == 303 and await state(console, who) == "active"
    answer = await console.post("/privacy/erase/keep", form, cookies=again.cookies)
    assert answer.status == 404


async def test_Y2_who_waits_for_the_erasure_keeps_the_other_rights(console: Console) -> None:
    """To see, to take along, to ask, to withdraw; all else is as closed as the keys."""
    who, _ = await closed(console)
    again = await another_session(console, who)
    found = {}
    for path in ("/privacy", "/privacy/export", "/privacy/access", "/privacy/consents",
                 "/privacy/tickets", "/balance", "/settings", "/usage", "/privacy/erase"):
        found[path] = (await console.get(path, cookies=again.cookies)).status
    assert {path for path, status in found.items() if status == 200} == {
        path for path in found if path.startswith("/privacy")}
    for method, path, expected in (
        ("GET", "/api/v1/export", 200), ("GET", "/api/v1/tickets", 200),
        ("GET", "/api/v1/privacy/access", 200), ("GET", "/api/v1/consents", 200),
        ("GET", "/api/v1/keys", 409), ("GET", "/api/v1/orders", 409),
    ):
        async with ClientSession() as http, http.request(
                method, console.origin + path, headers=again.bearer) as answer:
            assert (answer.status, path) == (expected, path)


async def another_session(console: Console, who: Person) -> Person:
    """The same person, signed in again."""
    async with console.db.writing() as transaction:
        opened = await session.start(
            transaction, who.account, "password", BROWSER, console.now_ms)
    return Person(who.account, who.email, opened.token)


async def test_Y2_the_same_for_programs(console: Console) -> None:
    who = await person(console.db, NOW_MS)
    status, found = await api(console, who, "POST", "/api/v1/erasure")
    assert (status, found["due_at"]) == (202, "2027-01-22T08:00:00.000Z")
    again = await another_session(console, who)
    status, found = await api(console, again, "GET", "/api/v1/erasure")
    assert status == 200 and found["waiting"]["due_at"].startswith("2027-01-22")
    status, found = await api(console, again, "DELETE", "/api/v1/erasure")
    assert status == 200 and found["waiting"] is None
    status, found = await api(console, again, "DELETE", "/api/v1/erasure")
    assert (status, found["error"]["code"]) == (404, "erasure_not_found")


async def test_Y2_the_certificate_by_its_link(console: Console) -> None:
    who, _ = await closed(console)
    asked = await erasure.waiting(console.db, who.account)
    assert asked is not None
    means = Means(SIGNER, Terms(), lambda path, token: f"https://c{path}?token={token}")
    await erasure.erase(console.db, means, asked, NOW_MS + COOLING_MS)
    token = (await said(console.db, "erasure_done"))["link"].partition("token=")[2]
    answer = await console.get(f"/privacy/certificate?token={token}")
    assert "attachment" in answer.headers["Content-Disposition"]
    assert erasure.verify(await answer.read(), SIGNER.public).account == who.account
    answer = await console.get(f"/api/v1/erasure/certificate?token={token}")
    assert json.loads(await answer.text())["certificate"]["account"] == who.account
    assert (await console.get("/privacy/certificate?token=x")).status == 404
