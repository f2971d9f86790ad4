"""Clients that misbehave, through the whole relay: what they cost, and when they are let go."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from relayd.core.provider import Timeouts
from tests.fakes.daemon import ANSWER, Lane
from tests.fakes.rawclient import RawClient, ask, request_bytes
from tests.fakes.rawhttp import Reply
from tests.fakes.rawupstream import Answer
from tests.http.play import BODY, STREAM, TARGET

PACE_SECONDS = 0.03
Open = Any


@pytest.fixture
async def lane(tmp_path: Path) -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:
        async def open_lane(provider: dict[str, Any] | None = None, **server: Any) -> Lane:
            return await stack.enter_async_context(
                Lane(tmp_path / "store", server=server, provider_changes=provider))

        yield open_lane


async def trickle(client: RawClient, pieces: Iterable[bytes]) -> None:
    """Sends a piece now and then, until it is told to stop or the connection ends."""
    with contextlib.suppress(ConnectionError):
        for piece in pieces:
            client.writer.write(piece)
            await client.writer.drain()
            await asyncio.sleep(PACE_SECONDS)


async def let_go(lane: Lane, pieces: Iterable[bytes]) -> tuple[Reply | None, float]:
    """What a client that trickles is told, and after how many seconds."""
    began = time.monotonic()
    async with RawClient(lane.address) as client:
        talking = asyncio.ensure_future(trickle(client, pieces))
        reply = await client.reply(first_seconds=3.0)
        seconds = time.monotonic() - began
        while reply is not None and await client.reply(first_seconds=3.0) is not None:
            pass
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)
    return reply, seconds


def octets(raw: bytes) -> Iterable[bytes]:
    return [raw[at:at + 1] for at in range(len(raw))]


HEAD = request_bytes(TARGET, "sk-relayd-no", BODY)
LINE = HEAD[:HEAD.index(b"\r\n") + 2]


@pytest.mark.parametrize(("pieces", "told"), [
    (octets(HEAD), True),
    (itertools.chain([LINE], (b"X-%d: y\r\n" % n for n in itertools.count())), True),
    (itertools.repeat(b"\r\n"), False),
    (itertools.chain([b"\r\n"] * 5, octets(HEAD)), True),
], ids=["octet by octet", "field by field", "empty lines", "empty lines first"])
async def test_a_head_that_trickles(lane: Open, pieces: Iterable[bytes], told: bool) -> None:
    opened = await lane(header_seconds=0.4)
    reply, seconds = await let_go(opened, pieces)
    assert (reply.status if reply else None) == (408 if told else None)
    assert seconds < 1.6, "sending on does not win time"
    assert await opened.records() == []


async def test_a_second_head_that_trickles(lane: Open) -> None:
    opened = await lane(header_seconds=0.4, idle_seconds=60.0)
    async with RawClient(opened.address) as client:
        raw = request_bytes(TARGET, opened.key, BODY)
        assert (await client.ask(raw)).body == ANSWER
        began = time.monotonic()
        talking = asyncio.ensure_future(trickle(client, octets(raw)))
        assert (await client.final_reply()).status == 408
        assert time.monotonic() - began < 1.6
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_body_that_trickles(lane: Open, framing: str) -> None:
    opened = await lane(body_seconds=0.5)
    if framing == "length":
        raw = request_bytes(TARGET, opened.key, BODY)
        head, pieces = raw[:-len(BODY)], octets(BODY)
    else:
        head = request_bytes(TARGET, opened.key, fields=(("Transfer-Encoding", "chunked"),))
        pieces = [b"1\r\n%b\r\n" % octet for octet in octets(BODY)]
    reply, seconds = await let_go(opened, itertools.chain([head], pieces))
    assert reply is not None and reply.status == 408 and seconds < 1.6
    (record,) = await opened.settled(1)
    assert (record.outcome, record.error, record.attempts) == ("refused", "request_timeout", 0)
    assert opened.app._plane.overload.pending_bytes == 0


async def test_a_body_without_a_key_is_not_waited_for(lane: Open) -> None:
    opened = await lane(body_seconds=60.0)
    head = request_bytes(TARGET, "sk-relayd-no", BODY)[:-len(BODY)]
    reply, seconds = await let_go(opened, itertools.chain([head], octets(BODY)))
    assert reply is not None and reply.status == 401 and seconds < 1.0


@pytest.mark.parametrize(("pieces", "status"), [
    ([LINE + b"X: " + b"y" * 1_000_000], 431),
    ([LINE] + [b"X-%d: y\r\n" % n for n in range(100_000)], 431),
    ([b"POST /" + b"x" * 1_000_000], 431),
    ([b"POST /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n"], 414),
    ([b"\0" * 1_000_000], 431),
], ids=["one field", "100,000 fields", "a line without end", "a target", "no HTTP at all"])
async def test_a_flood_in_the_head(lane: Open, pieces: list[bytes], status: int) -> None:
    opened = await lane()
    async with RawClient(opened.address) as client:
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                client.writer.write(piece)
            await client.writer.drain()
        reply = await client.reply(first_seconds=3.0)
    # it may be that the flood is cut before the answer is read
    assert reply is None or reply.status in (status, 400)
    assert (await ask(opened.address, request_bytes(TARGET, opened.key, BODY))).body == ANSWER


async def test_a_reader_that_is_slow_but_reads_gets_all(lane: Open) -> None:
    opened = await lane(provider={"timeouts": Timeouts(1.0, 1.0, 30.0)}, idle_seconds=0.5,
                        write_buffer_bytes=16_384)
    event = b"data: %b\n\n" % (b"x" * 60_000)
    framed = b"%x\r\n%b\r\n" % (len(event), event)
    opened.upstream.answers.append(Answer(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n" + framed * 200
        + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"))
    async with RawClient(opened.address) as client:
        await client.send(request_bytes(TARGET, opened.key, STREAM))
        transport: Any = client.writer.transport
        for _ in range(6):  # longer than idle_seconds in all, and never so long without reading
            transport.pause_reading()
            await asyncio.sleep(0.25)
            transport.resume_reading()
            await asyncio.sleep(0.02)
        reply = await client.final_reply(first_seconds=10.0)
    assert reply.ended == "complete" and reply.body.count(b"data: x") == 200
    (record,) = await opened.settled(1)
    assert record.outcome == "completed"


async def test_a_thousand_silent_connections_leave_calls_alone(lane: Open) -> None:
    opened = await lane(header_seconds=30.0)
    async with AsyncExitStack() as stack:
        for _ in range(1000):
            await stack.enter_async_context(RawClient(opened.address))
        raw = request_bytes(TARGET, opened.key, BODY)
        began = time.monotonic()
        async with RawClient(opened.address) as client:
            for _ in range(50):
                assert (await client.ask(raw)).body == ANSWER
        assert time.monotonic() - began < 2.0
        assert len(opened.app._plane.connections) >= 1000
