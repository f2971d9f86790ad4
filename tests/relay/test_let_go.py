"""What has ended is let go at once, and does not wait for the collector, which seldom comes.

An error that somebody keeps has the frames in it that it passed, and they what the call was.
"""

from __future__ import annotations

import asyncio
import gc
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import trustme

from relayd.core.provider import Address
from relayd.core.route import Deployment, Route
from relayd.ops.config import TlsFiles
from relayd.relay.exchange import Exchange
from relayd.relay.listener import ClientConnection
from relayd.relay.upstream import UpstreamConnection
from tests.fakes.daemon import Lane, plain_answer, provider
from tests.fakes.faulty import FAULTS, SHORT, providers, route, upstreams
from tests.fakes.rawclient import RawClient, ask, request_bytes
from tests.http.play import BODY, TARGET
from tests.relay.conftest import Opened

PATIENCE_SECONDS = 5.0


@contextmanager
def uncollected() -> Iterator[None]:
    """The collector rests, and looks at nothing that was there before: other tests' remains."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


async def gone(*kinds: type) -> None:
    """Until nothing of these kinds is there that was made since."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while any(isinstance(each, kinds) for each in gc.get_objects()):
            await asyncio.sleep(0.02)


async def served(lane: Lane, status: int, body: bytes = BODY) -> None:
    reply = await ask(lane.address, request_bytes(TARGET, lane.key, body))
    assert reply.status == status


@pytest.mark.parametrize("fault", ["closed", "half a head", "garbage", "silence", "503"])
async def test_a_call_that_another_deployment_served(opened: Opened, fault: str) -> None:
    async with upstreams() as made:
        made[0].answers.append(FAULTS[fault])
        lane = await opened(providers=providers(made), routes=(route(),))
        with uncollected():
            await served(lane, 200)
            await gone(Exchange, ClientConnection)


@pytest.mark.parametrize("first", [
    provider("openai", 1, name="down", timeouts=SHORT),
    provider("openai", 1, name="down", timeouts=SHORT,
             address=Address("http", "nothing.invalid", 1, "/v1")),
], ids=["refused", "name"])
async def test_a_call_whose_first_provider_cannot_be_reached(
    opened: Opened, first: object
) -> None:
    async with upstreams(plain_answer) as made:
        lane = await opened(
            providers={"down": first, **providers(made)}, routes=(
                Route("test-model", (Deployment("down"), Deployment("p0", priority=2))),))
        with uncollected():
            await served(lane, 200)
            await gone(Exchange, ClientConnection)


async def test_a_connection_to_a_provider_whose_certificate_is_not_trusted(
    opened: Opened, upstream_tls: ssl.SSLContext
) -> None:
    lane = await opened(plain_answer, upstream_tls=upstream_tls)
    with uncollected():
        await served(lane, 502)
        await gone(Exchange, UpstreamConnection)


async def test_a_call_with_too_large_a_body(opened: Opened) -> None:
    lane = await opened(plain_answer, server={"max_body_bytes": 100})
    with uncollected():
        await served(lane, 413, b"x" * 1000)
        await gone(Exchange, ClientConnection)


@pytest.mark.parametrize("how", ["plain", "reset", "silent"])
async def test_a_client_whose_handshake_failed(
    opened: Opened, tmp_path: Path, upstream_tls: ssl.SSLContext, how: str
) -> None:
    files = TlsFiles(str(tmp_path / "tls.crt"), str(tmp_path / "tls.key"))
    lane = await opened(plain_answer, server={"tls": files, "header_seconds": 0.2})
    with uncollected():
        async with RawClient(lane.address) as client:
            if how == "plain":
                await client.send(b"GET / HTTP/1.1\r\n\r\n")
            if how == "reset":
                await asyncio.sleep(0.05)
                client.reset()
            with suppress(ConnectionError):
                await client.reader.read()
        await gone(ClientConnection)


@pytest.fixture
def upstream_tls(tmp_path: Path) -> ssl.SSLContext:
    """A server's context of an authority that nobody knows; its files are in `tmp_path`."""
    made = trustme.CA().issue_cert("127.0.0.1")
    made.private_key_pem.write_to_path(tmp_path / "tls.key")
    made.cert_chain_pems[0].write_to_path(tmp_path / "tls.crt")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.configure_cert(context)
    return context
