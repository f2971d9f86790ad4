"""The pool: connecting, failing to connect, sweeping what is idle."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from relayd.core.provider import Address, Provider, Timeouts
from relayd.ops.clock import monotonic
from relayd.ops.tasks import Tasks
from relayd.relay.egress import ProxyError
from relayd.relay.pool import HANGING_MIN, USES_MAX, Opening, Pool, Tell, fault_of, reason_of
from relayd.relay.turn import Turn
from relayd.relay.upstream import UpstreamConnection


def pool_to(port: int, scheme: str = "http", ca_file: str | None = None,
            tell: Tell | None = None) -> Pool:
    address = Address(scheme, "localhost" if ca_file else "127.0.0.1", port, "")  # type: ignore
    provider = Provider("p", "openai", address, ("c",), ca_file=ca_file,
                        timeouts=Timeouts(connect=0.3))
    return Pool(provider, Tasks(lambda name, error: None), lambda: 0.0, Turn((), print), tell)


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
    told: list[tuple[str, str]] = []
    opening = await opened(pool_to(free_port(), tell=lambda *what: told.append(what)))
    assert opening.error is not None and opening.error.code == "upstream_connect"
    assert opening.connection is None and told == [("p", "refused")]


async def test_a_provider_that_ends_connections_as_soon_as_they_are_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[tuple[str, str]] = []
    pool = pool_to(free_port(), tell=lambda *what: told.append(what))

    async def reach() -> tuple[None, UpstreamConnection]:
        made = UpstreamConnection(pool)
        made.closed = True
        return None, made

    monkeypatch.setattr(pool, "_reach", reach)
    opening = await opened(pool)
    assert opening.error is not None and opening.error.code == "upstream_connect"
    assert opening.connection is None and told == [("p", "closed")]


@pytest.mark.parametrize(("error", "reason", "code"), [
    (ProxyError("proxy_refused"), "proxy_refused", "upstream_proxy"),
    (ssl.SSLCertVerificationError(), "certificate", "upstream_tls"),
    (ssl.SSLError(), "tls", "upstream_tls"),
    (socket.gaierror(socket.EAI_NONAME, "x"), "name", "upstream_connect"),
    (TimeoutError(), "timeout", "upstream_connect"),
    (OSError(errno.EMFILE, "x"), "exhausted", "overloaded"),
    (OSError(errno.ENFILE, "x"), "exhausted", "overloaded"),
    (ConnectionRefusedError(), "refused", "upstream_connect"),
    (OSError(errno.ENETUNREACH, "x"), "network", "upstream_connect"),
])
def test_why_there_is_no_connection(error: OSError, reason: str, code: str) -> None:
    assert (reason_of(error), fault_of(error).code) == (reason, code)


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


async def test_tls_is_verified_against_the_provider_s_ca(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    here, elsewhere = [ssl.create_default_context(ssl.Purpose.CLIENT_AUTH) for _ in range(2)]
    authority.issue_cert("localhost").configure_cert(here)
    authority.issue_cert("elsewhere.test").configure_cert(elsewhere)
    for who, name in ((authority, "a.pem"), (stranger, "s.pem")):
        who.cert_pem.write_to_path(tmp_path / name)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))  # nor is a file written
    for context, name, code in ((here, "a.pem", None), (here, "s.pem", "upstream_tls"),
                                (elsewhere, "a.pem", "upstream_tls"),
                                (here, None, "upstream_tls")):
        server, port = await serve(context)
        pool = pool_to(port, "https", name and str(tmp_path / name))
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


async def two_of(pool: Pool) -> tuple[UpstreamConnection, UpstreamConnection]:
    one, other = (await opened(pool)).connection, (await opened(pool)).connection
    assert one is not None and other is not None
    return one, other


async def test_the_last_one_in_is_the_first_one_out() -> None:
    server, port = await serve(None)
    pool = pool_to(port)
    one, other = await two_of(pool)
    assert pool.take() is None and (pool.idle, pool.busy) == (0, 2)
    pool.give_back(one)
    pool.give_back(other)
    assert (pool.idle, pool.busy) == (2, 0)
    assert pool.take() is other and pool.take() is one
    # one that has carried enough is not kept
    one.uses, other.uses = USES_MAX - 1, USES_MAX
    pool.give_back(one)
    pool.give_back(other)
    assert (pool.idle, pool.busy) == (1, 0)
    pool.close()
    server.close()
    await asyncio.sleep(0.05)


@pytest.mark.parametrize("end", [Pool.retire, Pool.close])
async def test_a_pool_that_ends_keeps_nothing(end: Callable[[Pool], None]) -> None:
    server, port = await serve(None)
    pool = pool_to(port)
    idle, carrying = await two_of(pool)
    pool.give_back(idle)
    opening = pool.open(lambda: None)
    end(pool)
    # what carries a reply ends with it, or with the pool
    assert idle.closed and carrying.closed is (end is Pool.close) and pool.idle == 0
    async with asyncio.timeout(3):
        while opening.connection is None and opening.error is None:
            await asyncio.sleep(0.01)
    if end is Pool.close:
        assert opening.error is not None and opening.error.code == "draining"
    else:
        pool.give_back(carrying)
        assert opening.connection is not None
        pool.give_back(opening.connection)
    assert (pool.idle, pool.busy) == (0, 0)
    server.close()
    await asyncio.sleep(0.05)


async def test_several_that_hang_are_a_sign() -> None:
    pool = pool_to(free_port())
    openings = [pool.open(lambda: None) for _ in range(HANGING_MIN - 1)]
    assert not pool.hangs(monotonic() + 9)
    openings.append(pool.open(lambda: None))
    assert pool.hangs(monotonic() + 9) and not pool.hangs(monotonic() + 0.4)
    async with asyncio.timeout(3):
        while pool.busy:
            await asyncio.sleep(0.01)
    assert all(each.error is not None for each in openings) and not pool.hangs(monotonic() + 9)
