"""D1: the plain port sends browsers to https, refuses the rest, and reads no body."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping

import pytest

from relayd.console import pages, redirect
from relayd.console.redirect import Redirect, rooms
from tests.fakes.rawclient import RawClient

ORIGIN = "https://console.example.org"
KEY = b"Bearer sk-relayd-known"


class Plain(Redirect):
    """On a free port of loopback; `seen` is what it asked about."""

    def __init__(self) -> None:
        super().__init__("127.0.0.1:0", lambda: ORIGIN, pages.ROUTES, self._known)
        self.seen: list[str] = []

    def _known(self, fields: Mapping[bytes, bytes], query: str) -> bool:
        self.seen.append(query)
        return fields.get(b"authorization") == KEY

    async def said(self, raw: bytes) -> bytes:
        """All that one connection is answered."""
        async with RawClient(self.address) as client:
            await client.send(raw)
            async with asyncio.timeout(5):
                return await client.reader.read()


@pytest.fixture
async def plain() -> AsyncIterator[Plain]:
    made = Plain()
    await made.start()
    yield made
    await made.stop()


def asked(target: str, method: str = "GET", more: str = "") -> bytes:
    return f"{method} {target} HTTP/1.1\r\nHost: evil.example\r\n{more}\r\n".encode()


@pytest.mark.parametrize("target", [
    "/", "/overview", "/usage?by=key&key=key_1", "/legal/privacy", "/static/relayd.css",
    "/.well-known/relay-audit.json", "//evil.example/x", "/keys/..%2f%2fevil.example",
])
async def test_D1_a_page_is_elsewhere(plain: Plain, target: str) -> None:
    for method in ("GET", "HEAD"):
        head, _, body = (await plain.said(asked(target, method))).partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        assert lines[0] == "HTTP/1.1 301 Moved Permanently" and body == b""
        assert f"location: {ORIGIN}{target}" in lines
        assert "evil" not in head.decode().replace(target, "")


async def test_an_absolute_target_names_no_host_either(plain: Plain) -> None:
    said = await plain.said(asked("http://evil.example/keys?a=b"))
    assert b"location: https://console.example.org/keys?a=b\r\n" in said


@pytest.mark.parametrize(("target", "method"), [
    ("/v1/chat/completions", "POST"), ("/v1/models", "GET"), ("/api/v1/keys", "GET"),
    ("/keys", "POST"), ("/sign-in", "POST"), ("/overview", "OPTIONS"), ("*", "OPTIONS"),
    ("/v1beta/models/x:generateContent?key=sk-relayd-x", "POST"), ("/nowhere", "GET"),
])
async def test_D1_the_rest_is_refused(plain: Plain, target: str, method: str) -> None:
    head, _, body = (await plain.said(asked(target, method))).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 426 Upgrade Required\r\n")
    assert b"\r\nupgrade: TLS/1.2, HTTP/1.1\r\n" in head
    assert b"strict-transport-security" not in head and b"set-cookie" not in head
    assert json.loads(body)["error"]["code"] == "tls_required"


async def test_D1_whoever_shows_a_key_is_not_sent_on(plain: Plain) -> None:
    said = await plain.said(asked("/overview", more=f"Authorization: {KEY.decode()}\r\n"))
    assert said.startswith(b"HTTP/1.1 426 ")
    said = await plain.said(asked("/overview", "HEAD", f"Authorization: {KEY.decode()}\r\n"))
    assert said.startswith(b"HTTP/1.1 426 ") and said.endswith(b"\r\n\r\n")


async def test_D1_no_body_is_asked_for_or_read(plain: Plain) -> None:
    more = "Content-Length: 1000000\r\nExpect: 100-continue\r\n"
    said = await plain.said(asked("/v1/chat/completions", "POST", more))
    assert said.startswith(b"HTTP/1.1 426 ") and said.count(b"HTTP/1.1 ") == 1
    async with RawClient(plain.address) as client:
        await client.send(asked("/v1/x", "POST", "Content-Length: 99\r\n") + asked("/") * 3)
        assert (await client.reader.read()).count(b"HTTP/1.1 ") == 1
    assert len(plain.seen) == 2


@pytest.mark.parametrize(("raw", "status"), [
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),
    (b"GET / HTTP/9.9\r\n\r\n", b"505"), (b"GET / HTTP/1.1\r\n\r\n", b"400"),
    (b"GET /\x0b HTTP/1.1\r\nHost: a\r\n\r\n", b"400"),
    (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"x: y\r\n" * 4000, b"431"),
])
async def test_what_is_no_request_is_refused(plain: Plain, raw: bytes, status: bytes) -> None:
    assert (await plain.said(raw)).split(b" ", 2)[1] == status
    assert plain.seen == []


async def test_nobody_stays(plain: Plain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redirect, "HEAD_SECONDS", 0.05)
    monkeypatch.setattr(redirect, "LINGER_SECONDS", 0.05)
    for raw in (b"", b"GET / HT", asked("/")):
        async with RawClient(plain.address) as client:
            await client.send(raw)
            async with asyncio.timeout(5):
                await client.reader.read()
                while plain.visitors:
                    await asyncio.sleep(0.01)


async def test_there_is_room_for_so_many(
    plain: Plain, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(redirect, "CONNECTIONS_MAX", 1)
    async with RawClient(plain.address) as first:
        await first.send(b"GET")
        while not plain.visitors:
            await asyncio.sleep(0.01)
        async with RawClient(plain.address) as second:
            assert await second.reply(b"GET") is None
        await first.send(asked("/")[3:])
        assert (await first.final_reply(b"GET")).status == 301


async def test_it_stops_with_people_in_it(plain: Plain) -> None:
    async with RawClient(plain.address) as client:
        await client.send(b"GET")
        while not plain.visitors:
            await asyncio.sleep(0.01)
        await plain.stop()
        await plain.stop()
        assert await client.reply(b"GET") is None


def test_every_page_is_known_and_nothing_of_the_relay_is() -> None:
    known = rooms(pages.ROUTES)
    assert {"", "overview", "legal", "static", ".well-known", "operate"} <= known
    assert known.isdisjoint({"v1", "v1beta", "openai", "anthropic", "api"})
