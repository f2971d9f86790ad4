"""A site: what it binds, and that it lets go."""

from __future__ import annotations

import asyncio
import gzip
import logging
import os
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from relayd.ops import site as ops_site
from relayd.ops.occupant import occupant
from relayd.ops.site import Site


def app() -> web.Application:
    async def hello(request: web.Request) -> web.Response:
        return web.Response(text="hello")

    made = web.Application()
    made.router.add_get("/", hello)
    return made


async def test_it_says_the_port_that_it_was_given() -> None:
    site = Site("127.0.0.1:0", 0.1)
    await site.open(app())
    host, port = site.address
    async with aiohttp.ClientSession() as http:
        assert await (await http.get(f"http://{host}:{port}/")).text() == "hello"
    await site.close()
    await site.close()


async def test_a_unix_socket(tmp_path: Path) -> None:
    site = Site(f"unix:{tmp_path}/s", 0.1)
    await site.open(app())
    assert site.address == (f"{tmp_path}/s", 0)
    await site.close()


async def test_an_address_that_is_taken_leaves_nothing_open() -> None:
    first = Site("127.0.0.1:0", 0.1)
    await first.open(app())
    second = Site(f"127.0.0.1:{first.address[1]}", 0.1)
    with pytest.raises(OSError) as caught:
        await second.open(app())
    assert caught.value.strerror == (
        f"127.0.0.1:{first.address[1]}: Address already in use{occupant(first.address[1])}")
    assert f"(pid {os.getpid()})" in caught.value.strerror
    await first.close()
    await second.open(app())
    await second.close()


@pytest.mark.parametrize("asked", [
    b"canary\r\n\r\n",
    b"GET /canary HTTP/9.9\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nCookie: \x00canary\r\n\r\n",
    b"GET /" + b"canary" * 4000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
])
async def test_what_is_no_http_is_not_said_back_and_leaves_no_line(
    asked: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    site = Site("127.0.0.1:0", 0.1)
    await site.open(app(), headers={"Server": "its own", "X-Own": "1"})
    head, _, body = (await _said(site, asked)).partition(b"\r\n\r\n")
    await site.close()
    assert b" 400 " in head and b"Server: its own" in head and b"X-Own: 1" in head
    assert b"canary" not in head + body and b"aiohttp" not in head.lower()
    assert body == b"The request is not well-formed HTTP/1.1.\n"
    assert caplog.records == []


async def test_a_client_that_leaves_uninvited_leaves_no_line(
    caplog: pytest.LogCaptureFixture
) -> None:
    site = Site("127.0.0.1:0", 0.1)
    await site.open(app())
    reader, writer = await asyncio.open_connection(*site.address)
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n")
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()
    await site.close()
    assert caplog.records == []


async def test_a_body_that_nobody_reads_may_be_in_no_coding(
    caplog: pytest.LogCaptureFixture
) -> None:
    site = Site("127.0.0.1:0", 0.1)
    await site.open(app())
    body = gzip.compress(b"canary" * 9)[:-9] + b"canary"
    said = await _said(site, b"POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\n"
                       b"Content-Length: %d\r\n\r\n%b" % (len(body), body[::-1]))
    await site.close()
    assert b" 404 " in said and caplog.records == []


async def test_nothing_is_unpacked() -> None:
    """A thousandth of it would hold the loop for half a second, whoever sends it."""
    async def told(request: web.Request) -> web.Response:
        return web.Response(text=f"{len(await request.read())} octets")

    made = web.Application()
    made.router.add_post("/", told)
    site = Site("127.0.0.1:0", 0.1)
    await site.open(made)
    body = gzip.compress(bytes(10_000_000))
    said = await _said(site, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\n"
                       b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
    await site.close()
    assert b"%d octets" % len(body) in said


async def test_an_application_that_fails_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    async def fails(request: web.Request) -> web.Response:
        raise ValueError

    made = web.Application()
    made.router.add_get("/", fails)
    site = Site("127.0.0.1:0", 0.1)
    await site.open(made)
    said = await _said(site, b"GET / HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n\r\n")
    await site.close()
    assert b" 500 " in said and b"Traceback" not in said
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_a_head_that_does_not_become_whole_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ops_site, "KEEP_SECONDS", 0.5)
    site = Site("127.0.0.1:0", 0.1)
    await site.open(app())
    reader, writer = await asyncio.open_connection(*site.address)
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n")
    for _ in range(20):  # a line now and then
        writer.write(b"X-More: 1\r\n")
        if await _ended(reader, 0.1):
            break
    else:
        pytest.fail("it is still waited for")
    writer.close()
    await site.close()


@pytest.mark.parametrize("most, files", [(20, 1 << 20), (512, 640)])
async def test_one_connection_too_many_ends_the_oldest_that_waits_for_nothing(
    monkeypatch: pytest.MonkeyPatch, most: int, files: int
) -> None:
    monkeypatch.setattr(ops_site, "CONNECTIONS_MAX", most)
    monkeypatch.setattr(ops_site, "file_limit", lambda: files)
    go_on = asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        await go_on.wait()
        return web.Response(text="slow")

    made = app()
    made.router.add_get("/slow", slow)
    site = Site("127.0.0.1:0", 0.1)
    await site.open(made)
    asking = await asyncio.open_connection(*site.address)
    asking[1].write(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    await asyncio.sleep(0.1)
    idle = [await asyncio.open_connection(*site.address) for _ in range(60)]
    ended = [await _ended(reader, 0.05) for reader, _ in idle]
    assert ended == [True] * 41 + [False] * 19
    assert b"hello" in await _said(site, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    go_on.set()
    assert b" 200 " in await asking[0].readline()
    for _, writer in [*idle, asking]:
        writer.close()
    await site.close()


async def test_a_network_that_asks_slowly_keeps_no_other_one_out(
    monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ops_site, "CONNECTIONS_MAX", 20)

    async def read(request: web.Request) -> web.Response:
        return web.Response(text=f"{len(await request.read())} octets")

    made = app()
    made.router.add_post("/", read)
    site = Site("127.0.0.1:0", 0.1)
    await site.open(made)
    slow = []
    for count in range(25):
        if count == 3:
            other = await asyncio.open_connection(*site.address, local_addr=("127.7.0.1", 0))
            other[1].write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n")
        slow.append(await asyncio.open_connection(*site.address))
        slow[-1][1].write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
        await asyncio.sleep(0.01)
    mine = await asyncio.open_connection(*site.address, local_addr=("127.7.0.2", 0))
    mine[1].write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b" 200 " in await mine[0].readline()
    other[1].write(b"abc")
    assert b" 200 " in await other[0].readline()
    assert [await _ended(reader, 0.05) for reader, _ in slow] == [True] + [False] * 18 + [True] * 6
    for _, writer in [*slow, other, mine]:
        writer.close()
    await site.close()


async def test_an_answer_that_nobody_reads_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ops_site, "STALL_SECONDS", 0.3)
    left = asyncio.Event()

    async def much(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            for _ in range(1000):
                await response.write(bytes(65_536))
        except ConnectionError:
            left.set()
            raise
        return response

    made = web.Application()
    made.router.add_get("/", much)
    site = Site("127.0.0.1:0", 0.1)
    await site.open(made)
    reader, writer = await asyncio.open_connection(*site.address, limit=1024)
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await asyncio.wait_for(left.wait(), 10)
    writer.close()
    await site.close()


async def _ended(reader: asyncio.StreamReader, seconds: float) -> bool:
    """Whether the site closes the connection within a time."""
    try:
        return await asyncio.wait_for(reader.read(1), seconds) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


async def _said(site: Site, asked: bytes) -> bytes:
    """All that is answered until the site closes the connection, or says no more."""
    reader, writer = await asyncio.open_connection(*site.address)
    writer.write(asked)
    said = b""
    try:
        while more := await asyncio.wait_for(reader.read(65536), 1):
            said += more
    except TimeoutError:
        pass
    writer.close()
    return said
