"""Every limit of the relay is reached by its name, with what the relay does at it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from relayd.core.provider import Timeouts
from tests.fakes.daemon import ANSWER, Lane, provider
from tests.fakes.rawclient import RawClient, ask, request_bytes
from tests.fakes.rawupstream import Answer, message
from tests.http.play import BODY, STREAM, TARGET

SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
EVENT_CHUNK = b"%x\r\n%b\r\n" % (len(EVENT), EVENT)
HELD = Answer(SSE + EVENT_CHUNK, after="hold")
MIB = 1 << 20
Open = Callable[..., Any]


@pytest.fixture
async def lane(tmp_path: Path) -> AsyncIterator[Open]:
    """Opens a relay with these limits of its server; `provider` has those of its providers."""
    async with AsyncExitStack() as stack:
        async def open_lane(provider: dict[str, Any] | None = None, **server: Any) -> Lane:
            return await stack.enter_async_context(
                Lane(tmp_path / "store", server=server, provider_changes=provider))

        yield open_lane


def code(body: bytes) -> str:
    """The code of an error in OpenAI's shape."""
    found: str = json.loads(body)["error"]["code"]
    return found


async def asked(lane: Lane, body: bytes = BODY, **more: Any) -> tuple[int, str]:
    """The status, and the code of the error if it is one."""
    reply = await ask(lane.address, request_bytes(TARGET, lane.key, body, **more))
    return reply.status, code(reply.body) if reply.status >= 400 else ""


@pytest.mark.parametrize("over", [0, 1])
async def test_body(lane: Open, over: int) -> None:
    opened = await lane(max_body_bytes=1000)
    body = BODY + b" " * (1000 - len(BODY) + over)
    expected = (413, "body_too_large") if over else (200, "")
    assert await asked(opened, body) == expected
    head = request_bytes(TARGET, opened.key, fields=(("Transfer-Encoding", "chunked"),))
    reply = await ask(opened.address, head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
    assert reply.status == expected[0]
    assert len(opened.upstream.requests) == (0 if over else 2)


async def test_head(lane: Open) -> None:
    opened = await lane(head_bytes_max=1000)
    assert await asked(opened, fields=(("X-A", "a" * 700),)) == (200, "")
    assert await asked(opened, fields=(("X-A", "a" * 1000),)) == (431, "head_too_large")
    assert len(opened.upstream.requests) == 1


async def test_header_count(lane: Open) -> None:
    opened = await lane(header_count_max=10)
    assert await asked(opened, fields=(("X-A", "a"),) * 6) == (200, "")
    assert await asked(opened, fields=(("X-A", "a"),) * 7) == (431, "head_too_large")


async def test_target(lane: Open) -> None:
    opened = await lane(target_bytes_max=100)
    for size, status in ((100, 200), (101, 414)):
        target = TARGET + "?" + "a" * (size - len(TARGET) - 1)
        reply = await ask(opened.address, request_bytes(target, opened.key, BODY))
        assert reply.status == status


async def test_head_that_does_not_end(lane: Open) -> None:
    opened = await lane(header_seconds=0.3)
    async with RawClient(opened.address) as client:
        await client.send(request_bytes(TARGET, opened.key, BODY)[:60])
        reply = await client.final_reply(first_seconds=2.0)
        assert (reply.status, code(reply.body), reply.closes) == (408, "request_timeout", True)
        assert await client.reply(first_seconds=2.0) is None


async def test_connection_that_says_nothing(lane: Open) -> None:
    opened = await lane(header_seconds=0.3)
    async with RawClient(opened.address) as client:
        assert await client.reply(first_seconds=2.0) is None


async def test_body_that_does_not_end(lane: Open) -> None:
    opened = await lane(body_seconds=0.3)
    async with RawClient(opened.address) as client:
        await client.send(request_bytes(TARGET, opened.key, BODY)[:-1])
        reply = await client.final_reply(first_seconds=2.0)
        assert (reply.status, code(reply.body), reply.closes) == (408, "request_timeout", True)
    (record,) = await opened.settled(1)
    assert (record.outcome, record.error, record.attempts) == ("refused", "request_timeout", 0)


async def test_idle_connection(lane: Open) -> None:
    opened = await lane(idle_seconds=0.3)
    async with RawClient(opened.address) as client:
        assert (await client.ask(request_bytes(TARGET, opened.key, BODY))).status == 200
        assert await client.reply(first_seconds=2.0) is None


async def test_heartbeat(lane: Open) -> None:
    opened = await lane(heartbeat_seconds=0.2)
    opened.upstream.answers.append(HELD)
    reply = await ask(opened.address, request_bytes(TARGET, opened.key, STREAM))
    beats = reply.body.removeprefix(EVENT).partition(b"data:")[0]
    assert len(beats.splitlines()) >= 3
    assert all(not line or line.startswith(b":") for line in beats.splitlines())


async def test_connections(lane: Open) -> None:
    opened = await lane(connections_max=2)
    async with RawClient(opened.address) as one, RawClient(opened.address) as two:
        raw = request_bytes(TARGET, opened.key, BODY)
        assert (await one.ask(raw)).status == (await two.ask(raw)).status == 200
        async with RawClient(opened.address) as three:
            assert await three.reply(first_seconds=2.0) is None
        assert (await one.ask(raw)).status == 200
    await asyncio.sleep(0.05)
    assert (await asked(opened))[0] == 200


async def test_slow_reader_pauses_the_provider(lane: Open) -> None:
    opened = await lane(write_buffer_bytes=MIB, provider={"timeouts": Timeouts(idle=30.0)})
    size = 32 * MIB
    body = b'{"a":"' + b"x" * (size - 8) + b'"}'
    opened.upstream.answers.append(Answer(message(body), "segments-65536"))
    async with RawClient(opened.address) as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await client.send(request_bytes(TARGET, opened.key, BODY))
        await asyncio.sleep(0.5)
        written = opened.app._plane.connections  # type: ignore[union-attr]
        held = [c.transport.get_write_buffer_size() for c in written]
        assert max(held) < 4 * MIB
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        reply = await client.final_reply(first_seconds=10.0)
    assert reply.body == body


@pytest.mark.parametrize("most, source", [(4096, "reported"), (64, "estimated")])
async def test_json_reply_that_is_too_large_to_read(
    lane: Open, most: int, source: str
) -> None:
    opened = await lane(json_reply_bytes_max=most)
    reply = await ask(opened.address, request_bytes(TARGET, opened.key, BODY))
    assert reply.body == ANSWER
    record = await opened.record(reply.value(b"x-request-id"))
    assert record.usage_source == source


async def test_drain(lane: Open) -> None:
    opened = await lane(drain_seconds=0.4, provider={"timeouts": Timeouts(idle=30.0)})
    opened.upstream.answers.append(HELD)
    async with RawClient(opened.address) as client:
        await client.send(request_bytes(TARGET, opened.key, STREAM))
        await client.reader.readuntil(b"delta")
        start = asyncio.get_running_loop().time()
        await opened.app.stop()
        assert 0.3 < asyncio.get_running_loop().time() - start < 3.0
        assert not (await client.reader.read(MIB)).endswith(b"0\r\n\r\n")
    (record,) = await opened.records()
    assert (record.outcome, record.error) == ("interrupted", "draining")


async def test_connections_to_a_provider(lane: Open) -> None:
    opened = await lane(provider={"connections_max": 1})
    opened.upstream.answers.append(HELD)
    async with RawClient(opened.address) as client:
        await client.send(request_bytes(TARGET, opened.key, STREAM))
        await client.reader.readuntil(b"delta")
        assert await asked(opened) == (503, "upstream_busy")
        assert len(opened.upstream.requests) == 1


@pytest.mark.parametrize("name, answer, status, told", [
    ("first_byte", Answer(b"", after="hold"), 504, "upstream_timeout"),
    ("idle", Answer(message(ANSWER)[:-1], after="hold"), 200, "upstream_stalled"),
])
async def test_silent_provider(
    lane: Open, name: str, answer: Answer, status: int, told: str
) -> None:
    limits = {"first_byte": 20.0, "idle": 20.0, name: 0.3}
    opened = await lane(provider={"timeouts": Timeouts(**limits)})
    opened.upstream.answers.append(answer)
    start = asyncio.get_running_loop().time()
    reply = await ask(opened.address, request_bytes(TARGET, opened.key, BODY))
    assert asyncio.get_running_loop().time() - start < 3.0
    assert reply.status == status
    (record,) = await opened.settled(1)
    assert record.error == told


async def test_connecting(tmp_path: Path) -> None:
    """A listener whose queue is full answers no more SYNs."""
    async with AsyncExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        far = provider("openai", full.getsockname()[1], timeouts=Timeouts(connect=0.3))
        opened = await stack.enter_async_context(
            Lane(tmp_path / "store", provider_changes={"address": far.address,
                                                       "timeouts": far.timeouts}))
        start = asyncio.get_running_loop().time()
        assert await asked(opened) == (502, "upstream_connect")
        assert 0.2 < asyncio.get_running_loop().time() - start < 3.0
