"""Tunnels through proxies: HTTP CONNECT and SOCKS5, over real sockets, and every refusal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from relayd.relay.egress import ProxyError, tunnel

Script = list[tuple[int, bytes]]
"""What the proxy does: reads so many octets (0: a head), then answers."""


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


async def test_connect() -> None:
    async with proxy([(0, b"HTTP/1.1 200 OK\r\nVia: x\r\n\r\nhello")]) as (port, heard):
        sock = await tunnel(f"http://127.0.0.1:{port}", "api.example.org", 443)
        assert await asyncio.get_running_loop().sock_recv(sock, 99) == b"hello"
        sock.close()
    assert heard == [b"CONNECT api.example.org:443 HTTP/1.1\r\nHost: api.example.org:443\r\n\r\n"]


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
        sock = await tunnel(f"socks5://127.0.0.1:{port}", host, 443)
        assert await asyncio.get_running_loop().sock_recv(sock, 99) == b"hello"
        sock.close()
    assert heard == [b"\x05\x01\x00", request]


@pytest.mark.parametrize(("scheme", "script"), [
    ("http", [(0, b"HTTP/1.1 407 No\r\n\r\n")]),
    ("http", [(0, b"HTTP/1.1 200")]),
    ("http", [(0, b"nonsense\r\n\r\n")]),
    ("http", [(0, b"HTTP/1.1 200 OK\r\nX: " + b"y" * 9000)]),
    ("socks5", [(3, b"\x05\xff")]),
    ("socks5", [(3, b"\x05\x00"), (11, b"\x05\x05\x00\x01abcdef")]),
    ("socks5", [(3, b"\x05")]),
])
async def test_refusals(scheme: str, script: Script) -> None:
    async with proxy(script) as (port, _):
        with pytest.raises(ProxyError):
            await tunnel(f"{scheme}://127.0.0.1:{port}", "a.bc", 443)
