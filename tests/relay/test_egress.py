"""Tunnels through proxies: HTTP CONNECT and SOCKS5, over real sockets, and every refusal."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from relayd.core.provider import Proxy
from relayd.relay.egress import ProxyError, tunnel

Script = list[tuple[int, bytes]]
"""What the proxy does: reads so many octets (0: a head), then answers."""
CREDENTIAL = "name:pass:word"


@asynccontextmanager
async def proxy(script: Script) -> AsyncIterator[tuple[int, list[bytes]]]:
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for count, answer in script:
                got = await (reader.readexactly(count) if count
                             else reader.readuntil(b"\r\n\r\n"))
                heard.append(got)
                writer.write(answer)
        except asyncio.IncompleteReadError:
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1], heard
    server.close()
    await asyncio.sleep(0.02)


async def through(
    scheme: Any, port: int, host: str, credential: str = ""
) -> bytes:
    """What comes out of the tunnel first."""
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setblocking(False)
        await loop.sock_connect(sock, ("127.0.0.1", port))
        async with asyncio.timeout(3):
            await tunnel(sock, Proxy(scheme, "127.0.0.1", port, credential), host, 443)
        return await loop.sock_recv(sock, 99)


@pytest.mark.parametrize(("host", "authority"), [
    ("api.example.org", b"api.example.org:443"), ("::1", b"[::1]:443")])
async def test_connect(host: str, authority: bytes) -> None:
    async with proxy([(0, b"HTTP/1.1 200 OK\r\nVia: x\r\n\r\nhello")]) as (port, heard):
        assert await through("http", port, host) == b"hello"
    assert heard == [b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (authority, authority)]


@pytest.mark.parametrize("head", [
    b"HTTP/1.0 200 OK\n\n", b"HTTP/1.1 200\r\n\r\n", b"HTTP/1.1 201 Created\r\n\r\n",
    b"HTTP/1.1 200\nVia: x\n\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
])
@pytest.mark.parametrize("pace", [1, 9999])
async def test_heads_that_open_a_tunnel(head: bytes, pace: int) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for at in range(0, len(head), pace):
            writer.write(head[at:at + pace])
            await writer.drain()
            await asyncio.sleep(0)
        writer.write(b"\n\nhello")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    assert b"\n\nhello".startswith(await through("http", port, "h"))
    server.close()
    await asyncio.sleep(0.02)


async def test_connect_with_a_credential() -> None:
    async with proxy([(0, b"HTTP/1.0 200 OK\r\n\r\nhello")]) as (port, heard):
        assert await through("http", port, "h", CREDENTIAL) == b"hello"
    assert heard == [b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n"
                     b"Proxy-Authorization: Basic bmFtZTpwYXNzOndvcmQ=\r\n\r\n"]


@pytest.mark.parametrize(("host", "address"), [
    ("api.example.org", b"\x03\x0fapi.example.org"),
    ("192.0.2.1", b"\x01\xc0\x00\x02\x01"),
    ("::1", b"\x04" + bytes(15) + b"\x01"),
])
@pytest.mark.parametrize("bound", [b"\x01abcd\x00\x50", b"\x03\x04name\x00\x50"])
async def test_socks5(host: str, address: bytes, bound: bytes) -> None:
    request = b"\x05\x01\x00" + address + b"\x01\xbb"
    script = [(3, b"\x05\x00"), (len(request), b"\x05\x00\x00" + bound + b"hello")]
    async with proxy(script) as (port, heard):
        assert await through("socks5", port, host) == b"hello"
    assert heard == [b"\x05\x01\x00", request]


@pytest.mark.parametrize("asked", [True, False])
async def test_socks5_with_a_credential(asked: bool) -> None:
    log_in = (16, b"\x01\x00")
    script = [(4, b"\x05\x02" if asked else b"\x05\x00"), *([log_in] if asked else []),
              (8, b"\x05\x00\x00\x01abcd\x00\x50hello")]
    async with proxy(script) as (port, heard):
        assert await through("socks5", port, "h", CREDENTIAL) == b"hello"
    said = [b"\x01\x04name\x09pass:word"] if asked else []
    assert heard == [b"\x05\x02\x00\x02", *said, b"\x05\x01\x00\x03\x01h\x01\xbb"]


@pytest.mark.parametrize(("scheme", "credential", "script", "reason"), [
    ("http", "", [(0, b"HTTP/1.1 407 No\r\n\r\n")], "proxy_credential"),
    ("http", CREDENTIAL, [(0, b"HTTP/1.1 407 No\r\n\r\n")], "proxy_credential"),
    ("http", "", [(0, b"HTTP/1.1 403 No\r\n\r\n")], "proxy_refused"),
    ("http", "", [(0, b"HTTP/1.1 502 Bad Gateway\r\n\r\n")], "proxy_refused"),
    ("http", "", [(0, b"HTTP/1.1 200")], "proxy_protocol"),
    ("http", "", [(0, b"HTTP/1.1 2000 OK\r\n\r\n")], "proxy_protocol"),
    ("http", "", [(0, b"HTTP/2.0 200 OK\r\n\r\n")], "proxy_protocol"),
    ("http", "", [(0, b"nonsense\r\n\r\n")], "proxy_protocol"),
    ("http", "", [(0, b"HTTP/1.1 100 Continue\r\n\r\n")], "proxy_protocol"),
    ("http", "", [(0, b"HTTP/1.1 100 Continue\r\n\r\n" * 999)], "proxy_protocol"),
    ("http", "", [(0, b"HTTP/1.1 302 Found\r\n\r\n")], "proxy_refused"),
    ("http", "", [(0, b"HTTP/1.1 200 OK\r\nX: " + b"y" * 9000)], "proxy_protocol"),
    # one that goes on and on, without an end to its head
    ("http", "", [(0, b"HTTP/1.1 200 OK\r\nX: " + b"y" * 9000), (1, b"")], "proxy_protocol"),
    ("http", "", [(0, b"HTTP/1.1 100 Continue\r\n\r\n" * 999), (1, b"")], "proxy_protocol"),
    ("socks5", "", [(3, b"\x05\xff")], "proxy_credential"),
    ("socks5", CREDENTIAL, [(4, b"\x05\xff")], "proxy_credential"),
    ("socks5", "", [(3, b"\x05\x02")], "proxy_credential"),
    ("socks5", CREDENTIAL, [(4, b"\x05\x02"), (16, b"\x01\x01")], "proxy_credential"),
    ("socks5", "", [(3, b"\x05\x00"), (11, b"\x05\x05\x00\x01abcdef")], "proxy_refused"),
    ("socks5", "", [(3, b"\x05")], "proxy_protocol"),
    ("socks5", "", [(3, b"HT")], "proxy_protocol"),
])
async def test_refusals(scheme: str, credential: str, script: Script, reason: str) -> None:
    async with proxy(script) as (port, _):
        with pytest.raises(ProxyError) as told:
            await through(scheme, port, "a.bc", credential)
    assert told.value.reason == reason
    assert "pass" not in repr(told.value)
