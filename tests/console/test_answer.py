"""Refusals: a page for people, JSON for programs, and a way to where they can be let in."""

from __future__ import annotations

import asyncio
import re
from html import unescape

import pytest
from aiohttp import web

from relayd.console.route import HOLDER, PUBLIC, Route
from relayd.console.visit import Visit
from relayd.control import ticket
from relayd.core.errors import ERRORS, RelayError
from relayd.store.db import Database
from tests.console.conftest import Console, started
from tests.console.people import person


async def _raise(visit: Visit) -> web.StreamResponse:
    raise RelayError(visit.name("code"), param="name", retry_after_ms=1500)


ROUTES = (Route("GET", "/raise/{code}", _raise, PUBLIC, "Raises."),
          Route("GET", "/api/v1/raise/{code}", _raise, PUBLIC, "Raises."),
          Route("POST", "/change", _raise, HOLDER, "Changes.", proof=True))


@pytest.mark.parametrize("code", ["key_not_found", "store_busy", "rate_limited", "invalid_form"])
async def test_programs_get_the_row_of_the_table(db: Database, code: str) -> None:
    site = await started(db, ROUTES)
    response = await site.get(f"/api/v1/raise/{code}")
    kind = ERRORS[code]
    assert response.status == kind.status and response.headers["Retry-After"] == "2"
    assert await response.json() == {
        "error": {"code": code, "message": kind.message, "param": "name"}}
    page = await site.get(f"/raise/{code}")
    text = await page.text()
    assert page.status == kind.status and code in text and 'role="alert"' in text
    # no field can be mended of what is not there
    assert ("The field is: name" in text) is (kind.status != 404)
    await site.stop()


async def test_a_form_that_wants_a_proof_comes_back_to_its_page(db: Database) -> None:
    site = await started(db, ROUTES)
    ann = await person(db, site.now_ms)
    site.http.cookie_jar.update_cookies({"rd_sid": ann.token})
    site.now_ms += 16 * 60_000
    for referer, back in ((f"{site.origin}/settings?x=1", "%2Fsettings%3Fx%3D1"),
                          ("http://evil.example/x", "%2F"), ("", "%2F")):
        led = await site.post("/change", {}, headers={"Referer": referer})
        assert led.headers["Location"] == f"/prove?next={back}"
    await site.stop()


def field(text: str, name: str) -> str:
    """What a page's hidden field has."""
    found = re.search(rf'<input type="hidden" name="{name}" value="([^"]*)">', text)
    assert found is not None, text
    return unescape(found[1])


def written(text: str) -> str:
    """What its text area has: a browser leaves the first line's end out."""
    found = re.search(r"<textarea [^>]*>\n(.*?)</textarea>", text, re.DOTALL)
    assert found is not None, text
    return unescape(found[1])


async def test_what_was_written_when_the_session_had_ended_is_sent_after_all(
    console: Console,
) -> None:
    ann = await person(console.db, console.now_ms)
    body = 'Line one\n<b>"two"</b>\n' + "x" * 50
    form = {"about": "privacy", "subject": "A & B", "body": body, "made-up": "1"}
    held = await console.post("/privacy/tickets", {**form, "csrf": "of the session before"})
    text = await held.text()
    assert (held.status, held.headers["Cache-Control"]) == (401, "no-store")
    assert 'href="/sign-in" target="_blank"' in text and "made-up" not in text
    assert (written(text), field(text, "about"), field(text, "subject")) == (
        body, "privacy", "A & B")
    # signed in in another tab: it is sent once more, looked at, and sent
    console.http.cookie_jar.update_cookies(ann.cookies)
    form = {"about": "privacy", "subject": field(text, "subject"), "body": written(text),
            "csrf": field(text, "csrf")}
    again = await console.post("/privacy/tickets", form)
    text = await again.text()
    assert again.status == 403 and "signed in anew" in text and "/sign-in" not in text
    assert 'action="/privacy/tickets"' in text and written(text) == body
    sent = await console.post("/privacy/tickets", {**form, "csrf": field(text, "csrf")})
    assert sent.status == 303
    [made] = await ticket.of_account(console.db, ann.account)
    assert made.subject == "A & B"


async def test_a_form_that_wants_a_proof_is_kept_until_there_is_one(console: Console) -> None:
    ann = await person(console.db, console.now_ms)
    console.http.cookie_jar.update_cookies(ann.cookies)
    console.now_ms += 16 * 60_000
    held = await console.post("/settings/email", {"email": "a@b.example"})
    text = await held.text()
    assert held.status == 403 and 'href="/prove" target="_blank"' in text
    assert field(text, "email") == "a@b.example" and len(field(text, "csrf")) == 32


@pytest.mark.parametrize(("path", "form"), [
    ("/settings/password", {"password": "a secret of mine"}),
    ("/credit", {"code": "a-secret-code"}),
    ("/privacy/tickets", {}),
    ("/keys/key_1/revoke", {}),
])
async def test_no_secret_is_kept_and_nothing_where_nothing_was_written(
    console: Console, path: str, form: dict[str, str],
) -> None:
    led = await console.post(path, form)
    assert (led.status, await led.text()) == (303, "")
    assert led.headers["Location"].startswith("/sign-in?next=")


async def test_another_site_s_form_is_not_kept(console: Console) -> None:
    told = await console.post("/privacy/tickets", {"subject": "bait"},
                              headers={"Origin": "http://evil.example"})
    assert told.status == 403 and "bait" not in await told.text()


async def test_a_form_that_cannot_be_read_is_told(console: Console) -> None:
    told = await console.http.post(
        console.origin + "/privacy/tickets", data=b"{}", allow_redirects=False,
        headers={"Origin": console.origin, "Content-Type": "application/json"})
    assert told.status == 422 and "invalid_form" in await told.text()


async def test_a_page_whose_name_is_no_text_is_led_back_to_as_well(db: Database) -> None:
    site = await started(db, ROUTES)
    host = site.origin.removeprefix("http://").encode()
    reader, writer = await asyncio.open_connection(*site.listener.address)
    writer.write(b"POST /change HTTP/1.1\r\nHost: %b\r\nOrigin: http://%b\r\n"
                 b"Referer: http://%b/\xff\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                 % (host, host, host))
    answer = await reader.read()
    assert b" 303 " in answer and b"Location: /sign-in?next=%2F%3F\r\n" in answer
    writer.close()
    await site.stop()
