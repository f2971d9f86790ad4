"""Refusals: a page for people, JSON for programs, and a way to where they can be let in."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from relayd.console.route import HOLDER, PUBLIC, Route
from relayd.console.visit import Visit
from relayd.core.errors import ERRORS, RelayError
from relayd.store.db import Database
from tests.console.conftest import started
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
