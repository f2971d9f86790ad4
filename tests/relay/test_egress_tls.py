"""Proxies that are reached over TLS: TLS in TLS to the provider, and what can go wrong in each."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme

from relayd.core.provider import Proxy
from tests.fakes.daemon import ANSWER, Lane
from tests.fakes.rawclient import ask, request_bytes
from tests.fakes.rawupstream import Answer, message
from tests.http.play import BODY, TARGET

CREDENTIAL = "name:secret-word"
BASIC = b"Proxy-Authorization: Basic bmFtZTpzZWNyZXQtd29yZA=="
BIG = b'{"usage":{"prompt_tokens":3,"completion_tokens":2},"x":"' + b"y" * (4 << 20) + b'"}'


@dataclass
class TlsProxy:
    """Speaks TLS, then CONNECT, then carries bytes; `answer` replaces what it says to CONNECT."""

    context: ssl.SSLContext
    credential: bytes = b""
    answer: bytes = b""
    port: int = 0
    heads: list[bytes] = field(default_factory=list)
    carried: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far: asyncio.StreamWriter | None = None
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head)
            if self.answer or self.credential not in head:
                writer.write(self.answer or b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
                return
            there, far = await asyncio.open_connection(
                *head.split(b" ")[1].decode().rsplit(":", 1))
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await asyncio.gather(self._carry(reader, far), self._carry(there, writer))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            for end in (far, writer):
                if end is not None:
                    end.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            self.carried.append(data)
            writer.write(data)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def serving(proxy: TlsProxy) -> AsyncIterator[TlsProxy]:
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0, ssl=proxy.context)
    proxy.port = server.sockets[0].getsockname()[1]
    yield proxy
    server.close()
    await asyncio.sleep(0.05)


class World:
    """An authority for the proxy, one for the provider, and a relay between a client and both."""

    def __init__(self, stack: AsyncExitStack, folder: Path) -> None:
        self.stack = stack
        self.folder = folder
        self.proxy_ca, self.provider_ca = trustme.CA(), trustme.CA()
        self.proxy_ca.cert_pem.write_to_path(folder / "proxy.pem")
        self.provider_ca.cert_pem.write_to_path(folder / "provider.pem")

    def context(self, authority: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
        made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(name).configure_cert(made)
        return made

    async def proxy(self, name: str = "127.0.0.1", **wishes: Any) -> TlsProxy:
        proxy = TlsProxy(self.context(self.proxy_ca, name), **wishes)
        return await self.stack.enter_async_context(serving(proxy))

    async def relay(
        self, proxy: TlsProxy, *, tls: bool = True, name: str = "127.0.0.1",
        credential: str = "", proxy_ca: str = "proxy.pem",
    ) -> Lane:
        return await self.stack.enter_async_context(Lane(
            self.folder / "store",
            upstream_tls=self.context(self.provider_ca, name) if tls else None,
            provider_changes={
                "ca_file": str(self.folder / "provider.pem") if tls else None,
                "proxy": Proxy("https", "127.0.0.1", proxy.port, credential,
                               str(self.folder / proxy_ca))}))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        yield World(stack, tmp_path)


async def call(lane: Lane) -> tuple[int, bytes]:
    reply = await ask(lane.address, request_bytes(TARGET, lane.key, BODY))
    return reply.status, reply.body


@pytest.mark.parametrize("tls", [True, False])
async def test_calls_go_through(world: World, tls: bool) -> None:
    proxy = await world.proxy(credential=BASIC)
    lane = await world.relay(proxy, tls=tls, credential=CREDENTIAL)
    for _ in range(3):
        assert await call(lane) == (200, ANSWER)
    assert len(proxy.heads) == 1, "the tunnel is kept"
    assert BASIC in proxy.heads[0]
    assert any(lane.upstream.requests[0].raw[:20] in data for data in proxy.carried) is not tls
    assert all(b"bmFtZTpz" not in request.raw for request in lane.upstream.requests)


async def test_large_replies_and_uploads(world: World) -> None:
    proxy = await world.proxy()
    lane = await world.relay(proxy)
    lane.upstream.answers.append(Answer(message(BIG)))
    assert await call(lane) == (200, BIG)
    lane.upstream.answers.append(Answer(message(BIG, chunked=True), "segments-100000"))
    assert await call(lane) == (200, BIG)
    prompt = BODY.replace(b'"content":"', b'"content":"' + b"word " * 400_000, 1)
    assert len(prompt) > 1_000_000
    reply = await ask(lane.address, request_bytes(TARGET, lane.key, prompt))
    assert reply.body == ANSWER
    assert len(lane.upstream.requests[-1].raw) > 1_000_000


@pytest.mark.parametrize(("wishes", "reason"), [
    ({"credential": b"Basic other"}, "proxy_credential"),
    ({"answer": b"HTTP/1.1 403 No\r\n\r\n"}, "proxy_refused"),
    ({"answer": b"HTTP/1.1 200"}, "proxy_protocol"),
    ({"answer": b"HTTP/1.1 100 Continue\r\n\r\n"}, "proxy_protocol"),
    ({"answer": b"HTTP/1.1 100 Continue\r\n\r\n" * 999}, "proxy_protocol"),
    ({"answer": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 No\n\n"}, "proxy_refused"),
    ({"answer": b"HTTP/1.1 200 OK\r\n\r\nmore"}, "proxy_protocol"),
    ({"answer": b"HTTP/1.1 200 OK\r\nx: " + b"y" * 20_000}, "proxy_protocol"),
    ({"name": "other.example.org"}, "proxy_tls"),
])
async def test_a_proxy_that_does_not_open(
    world: World, wishes: dict[str, Any], reason: str
) -> None:
    proxy = await world.proxy(**wishes)
    lane = await world.relay(proxy, credential=CREDENTIAL)
    status, body = await call(lane)
    assert status == 502 and b'"upstream_proxy"' in body
    [record] = await lane.settled(1)
    assert (record.outcome, record.error, record.attempts) == (
        "provider_error", "upstream_proxy", 1)
    assert f'"event":"provider_unreachable","provider":"openai","reason":"{reason}"' \
        in lane.log.getvalue()
    assert "secret-word" not in lane.log.getvalue() and "bmFtZTpz" not in lane.log.getvalue()
    if reason == "proxy_tls":
        assert proxy.heads == [], "no credential before the certificate is verified"


async def test_a_proxy_of_an_unknown_authority(world: World) -> None:
    proxy = await world.proxy()
    lane = await world.relay(proxy, proxy_ca="provider.pem", credential=CREDENTIAL)
    assert (await call(lane))[0] == 502
    assert proxy.heads == []


async def test_a_provider_behind_it_whose_certificate_is_wrong(world: World) -> None:
    proxy = await world.proxy()
    lane = await world.relay(proxy, name="other.example.org")
    status, body = await call(lane)
    assert status == 502 and b'"upstream_tls"' in body
    assert lane.upstream.requests == []
