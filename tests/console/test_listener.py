"""The listener: static files, what is not served, what fails."""

from __future__ import annotations

import asyncio
import io

import pytest
from aiohttp import web

from relayd.console.listener import HEADERS, ConsoleListener
from relayd.console.page import static
from relayd.console.route import PUBLIC, Route
from relayd.console.visit import Visit
from relayd.ops.logging import Logger
from relayd.store.db import Database
from tests.console.conftest import Console, started
from tests.console.people import person


async def _fails(visit: Visit) -> web.StreamResponse:
    raise ValueError("canary of a request")


async def test_static_files_may_be_kept_for_a_year(console: Console) -> None:
    response = await console.get(static("relayd.css"))
    assert response.status == 200 and response.content_type == "text/css"
    assert "immutable" in response.headers["Cache-Control"]
    assert (await console.get("/static/relayd.000000000000.css")).status == 404
    assert (await console.get("/static/..%2f__init__.py")).status == 404


async def test_what_is_not_served_is_told_in_the_shape_of_what_was_asked(
    console: Console,
) -> None:
    page = await console.get("/nowhere")
    assert page.status == 404 and page.content_type == "text/html"
    api = await console.get("/api/v1/nowhere")
    assert (await api.json())["error"]["code"] == "page_not_found"
    wrong = await console.http.delete(f"{console.origin}/api/v1/openapi.json")
    assert wrong.status == 405 and "GET" in wrong.headers["Allow"]


async def test_a_handler_that_fails_says_nothing_of_the_request(db: Database) -> None:
    said = io.StringIO()
    site = await started(db, [Route("GET", "/api/v1/fails", _fails, PUBLIC, "Fails."),
                              Route("GET", "/fails", _fails, PUBLIC, "Fails.")])
    services = site.services()
    services.logger = Logger("debug", said)
    listener = ConsoleListener("127.0.0.1:0", services, site.routes)
    await listener.start()
    url = f"http://127.0.0.1:{listener.address[1]}"
    for path in ("/api/v1/fails", "/fails"):
        response = await site.http.get(url + path)
        assert response.status == 500 and "canary" not in await response.text()
    assert said.getvalue().count("ValueError") == 2 and "canary" not in said.getvalue()
    await listener.stop()
    await site.stop()


async def test_requests_leave_no_line_in_the_log(console: Console) -> None:
    said = io.StringIO()
    console.listener._services.logger = Logger("debug", said)
    for path in ("/nowhere?email=canary@example.org", "/api/v1/openapi.json"):
        await console.get(path)
    assert said.getvalue() == ""


async def test_a_page_s_head_may_be_asked_for(console: Console) -> None:
    for path, status in (("/", 200), ("/overview", 303), ("/api/v1/openapi.json", 200)):
        response = await console.http.head(console.origin + path, allow_redirects=False)
        assert response.status == status and await response.read() == b""
        assert response.headers["X-Frame-Options"] == "DENY"


async def test_a_body_that_is_not_in_its_coding_is_the_client_s_fault(console: Console) -> None:
    said = io.StringIO()
    console.listener._services.logger = Logger("debug", said)
    for path, status in (("/sign-in", 422), ("/api/v1/sessions", 400)):
        response = await console.post(path, b"no gzip", headers={
            "Content-Encoding": "gzip", "Content-Type": "application/x-www-form-urlencoded",
            "Connection": "close"})
        assert response.status == status
    assert said.getvalue() == ""


async def test_who_speaks_no_http_gets_the_same_headers(console: Console) -> None:
    reader, writer = await asyncio.open_connection(*console.listener.address)
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n")
    head = (await reader.read()).decode().partition("\r\n\r\n")[0]
    writer.close()
    assert all(f"{name}: {value}" in head for name, value in HEADERS.items())
    assert "Cache-Control: no-store" in head


@pytest.mark.parametrize("path", ["/calls/export", "/api/v1/export", "/overview"])
async def test_nothing_follows_a_page_s_head(console: Console, path: str) -> None:
    """A file that is made while it is sent would be read as the next answer."""
    who = await person(console.db, console.now_ms)
    reader, writer = await asyncio.open_connection(*console.listener.address)
    shown = f"Cookie: rd_sid={who.token}\r\nAuthorization: Bearer {who.token}\r\n"
    writer.write(f"HEAD {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{shown}\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    assert head.startswith(b"HTTP/1.1 200 ") and body == b""
