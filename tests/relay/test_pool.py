"""The pool: connecting, failing to connect, sweeping what is idle."""

from __future__ import annotations

import asyncio
import socket
import ssl

import pytest
import trustme

from relayd.core.provider import Address, Provider, Timeouts
from relayd.ops.clock import monotonic
from relayd.ops.tasks import Tasks
from relayd.relay.pool import Opening, Pool
from relayd.relay.turn import Turn


def pool_to(port: int, scheme: str = "http", ca_file: str | None = None) -> Pool:
    address = Address(scheme, "localhost" if ca_file else "127.0.0.1", port, "")  # type: ignore
    provider = Provider("p", "openai", address, ("c",), ca_file=ca_file,
                        timeouts=Timeouts(connect=0.3))
    return Pool(provider, Tasks(lambda name, error: None), lambda: 0.0, Turn((), print))


async def opened(pool: Pool) -> Opening:
    done = asyncio.Event()
    opening = pool.open(done.set)
    async with asyncio.timeout(3):
        await done.wait()
    return opening


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_a_refused_connection() -> None:
    opening = await opened(pool_to(free_port()))
    assert opening.error is not None and opening.error.code == "upstream_connect"


async def test_a_connection_that_is_never_accepted_times_out() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        others = [socket.socket() for _ in range(4)]
        try:
            for other in others:
                other.setblocking(False)
                other.connect_ex(("127.0.0.1", port))
            opening = await opened(pool_to(port))
            assert opening.error is not None and opening.error.code == "upstream_connect"
        finally:
            for other in others:
                other.close()


async def serve(context: ssl.SSLContext | None) -> tuple[asyncio.Server, int]:
    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read()
        except (ConnectionError, ssl.SSLError):
            pass
        writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0, ssl=context)
    return server, server.sockets[0].getsockname()[1]


async def test_tls_is_verified_against_the_provider_s_ca(tmp_path: object) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    server, port = await serve(context)
    for who, code in ((authority, None), (stranger, "upstream_tls")):
        with who.cert_pem.tempfile() as ca_file:
            pool = pool_to(port, "https", ca_file)
            opening = await opened(pool)
            assert (opening.error.code if opening.error else None) == code
            pool.close()
    server.close()
    await asyncio.sleep(0.05)


async def test_the_sweep_closes_what_was_idle_for_a_minute() -> None:
    server, port = await serve(None)
    pool = pool_to(port)
    opening = await opened(pool)
    assert opening.connection is not None
    pool.give_back(opening.connection)
    pool.sweep(monotonic() + 59)
    assert pool.idle == 1
    pool.sweep(monotonic() + 61)
    assert (pool.idle, pool.busy) == (0, 0)
    server.close()
    await asyncio.sleep(0.05)


async def test_an_abandoned_opening_ends_in_the_pool() -> None:
    server, port = await serve(None)
    pool = pool_to(port)
    opening = pool.open(lambda: pytest.fail("nobody waits"))
    opening.abandon()
    async with asyncio.timeout(3):
        while not pool.idle:
            await asyncio.sleep(0.01)
    pool.close()
    server.close()
    await asyncio.sleep(0.05)
