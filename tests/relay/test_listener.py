"""Client connections: requests in order, every limit by its name, and how connections end."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from relayd.relay.listener import LINGER_SECONDS
from tests.fakes.daemon import ANSWER, Lane
from tests.fakes.rawclient import RawClient, ask, request_bytes
from tests.fakes.rawhttp import Request
from tests.fakes.rawupstream import Answer, message
from tests.http.play import BODY, STREAM, TARGET
from tests.relay.conftest import Opened
from tests.relay.test_plane import plane_of

CONTINUE = (("Expect", "100-continue"),)
SHORT_SECONDS = 0.3
"""A limit that is tested by waiting for it; the sweep looks four times a second."""
FAR_BYTES = 32 * 1024 * 1024
"""More than both sides' socket buffers hold."""


def chat(lane: Lane, body: bytes = BODY, **more: Any) -> bytes:
    return request_bytes(TARGET, lane.key, body, **more)


def chunked(lane: Lane, body: bytes) -> bytes:
    head = request_bytes(TARGET, lane.key, fields=(("Transfer-Encoding", "chunked"),))
    half = len(body) // 2
    return head + b"".join(
        b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:half], body[half:])
    ) + b"0\r\n\r\n"


async def test_a_connection_is_kept(opened: Opened) -> None:
    lane = await opened()
    async with RawClient(lane.address) as client:
        for _ in range(3):
            reply = await client.ask(chat(lane))
            assert (reply.status, reply.body, reply.closes) == (200, ANSWER, False)
    assert len(await lane.settled(3)) == 3
    assert lane.upstream.opened == 1


async def test_forty_pipelined_requests_are_answered_in_order(opened: Opened) -> None:
    def answer(request: Request) -> Answer:
        asked = json.loads(request.body)
        text = json.dumps({"n": asked["messages"][0]["content"]}).encode()
        if asked.get("stream"):
            return Answer(message(b"data: " + text + b"\n\n" + b"data: [DONE]\n\n",
                                  "text/event-stream", chunked=True), pace="segments-16")
        return Answer(message(text, chunked=len(text) % 2 == 0))

    lane = await opened(answer)
    raw = []
    for number in range(40):
        body = (STREAM if number == 0 else BODY).replace(b'"hi"', b'"%d"' % number)
        raw.append(chunked(lane, body) if number % 3 == 1 else chat(lane, body))
    async with RawClient(lane.address) as client:
        await client.send(b"".join(raw))
        for number in range(40):
            reply = await client.final_reply()
            assert reply.status == 200 and b'{"n": "%d"}' % number in reply.body
    assert [r.outcome for r in await lane.settled(40)] == ["completed"] * 40


async def test_what_is_pipelined_behind_a_running_call_is_bounded(opened: Opened) -> None:
    lane = await opened(lambda _: Answer(b"", after="hold"))
    async with RawClient(lane.address) as client:
        client.writer.write(chat(lane) + b"X" * FAR_BYTES)
        sizes: list[int] = []
        while len(sizes) < 5 or len(set(sizes[-5:])) > 1:  # until no more of it is read
            await asyncio.sleep(SHORT_SECONDS / 5)
            sizes.append(client.writer.transport.get_write_buffer_size())
        assert sizes[-1] > FAR_BYTES / 2
        client.reset()


HEADS = [
    ("header_count_max", 12, lambda n: (("X-A", "b"),) * n, 431),
    ("head_bytes_max", 1000, lambda n: (("X-A", "b" * n),), 431),
]


@pytest.mark.parametrize(("limit", "value", "fields", "status"), HEADS,
                         ids=[row[0] for row in HEADS])
async def test_limits_of_a_head(
    opened: Opened, limit: str, value: int, fields: Any, status: int
) -> None:
    lane = await opened(server={limit: value})
    room = value - (4 if limit == "header_count_max" else len(chat(lane)) - len(BODY) + 7)
    assert (await ask(lane.address, chat(lane, fields=fields(room)))).status == 200
    reply = await ask(lane.address, chat(lane, fields=fields(room + 1)))
    assert reply.status == status and reply.closes
    assert len(lane.upstream.requests) == 1 and len(await lane.settled(1)) == 1


async def test_target_bytes_max(opened: Opened) -> None:
    lane = await opened(server={"target_bytes_max": 50})
    target = TARGET + "?a=" + "b" * (50 - len(TARGET) - 3)
    assert (await ask(lane.address, request_bytes(target, lane.key, BODY))).status == 200
    assert (await ask(lane.address, request_bytes(target + "b", lane.key, BODY))).status == 414


async def test_header_seconds(opened: Opened) -> None:
    lane = await opened(server={"header_seconds": SHORT_SECONDS})
    async with RawClient(lane.address) as silent, RawClient(lane.address) as slow:
        await slow.send(chat(lane)[:60])
        reply = await slow.final_reply()
        assert reply.status == 408 and reply.closes
        assert await slow.reply() is None
        assert await silent.reader.read() == b""
    assert await lane.records() == []


async def test_body_seconds(opened: Opened) -> None:
    lane = await opened(server={"body_seconds": SHORT_SECONDS})
    async with RawClient(lane.address) as client:
        await client.send(chat(lane)[:-1])
        reply = await client.final_reply()
        assert reply.status == 408 and reply.closes
        assert json.loads(reply.body)["error"]["type"] == "timeout_error"
        assert await client.reply() is None
    [record] = await lane.settled(1)
    assert (record.outcome, record.error, record.status) == ("refused", "request_timeout", 408)
    assert lane.upstream.requests == []


async def test_idle_seconds(opened: Opened) -> None:
    lane = await opened(server={"idle_seconds": SHORT_SECONDS})
    async with RawClient(lane.address) as client:
        assert (await client.ask(chat(lane))).status == 200
        async with asyncio.timeout(2):
            assert await client.reader.read() == b""


async def test_the_time_of_an_idle_connection_begins_with_its_last_answer(
    opened: Opened
) -> None:
    lane = await opened(server={"idle_seconds": 30.0})
    plane = plane_of(lane)
    async with RawClient(lane.address) as client:
        assert (await client.ask(chat(lane))).status == 200
        [connection] = plane.connections
        connection.idle_since = connection.deadline = plane.now() - 100.0
        asked_at = plane.now()
        assert (await client.ask(chat(lane))).status == 200
        assert asked_at < connection.idle_since <= plane.now()
        assert connection.deadline == connection.idle_since + 30.0


async def test_the_time_of_a_head_begins_with_its_first_byte(opened: Opened) -> None:
    lane = await opened(server={"header_seconds": 30.0})
    plane = plane_of(lane)
    async with RawClient(lane.address) as client:
        assert (await client.ask(chat(lane))).status == 200
        [connection] = plane.connections
        deadlines = set()
        for octet in b"POST /v1":
            began = len(connection._buffer)
            await client.send(bytes([octet]))
            async with asyncio.timeout(5):
                while len(connection._buffer) == began:
                    await asyncio.sleep(0.001)
            deadlines.add(connection.deadline)
        assert len(deadlines) == 1


async def test_connections_max(opened: Opened) -> None:
    lane = await opened(server={"connections_max": 2})
    async with RawClient(lane.address) as first, RawClient(lane.address) as second:
        assert (await first.ask(chat(lane))).status == 200
        assert (await second.ask(chat(lane))).status == 200
        async with RawClient(lane.address) as third:
            assert await third.reply() is None
        await first.close()
        await asyncio.sleep(0.05)
        assert (await ask(lane.address, chat(lane))).status == 200


async def test_a_body_is_invited_once_its_key_is_known(opened: Opened) -> None:
    lane = await opened()
    head, body = chat(lane, fields=CONTINUE).split(b"\r\n\r\n")
    async with RawClient(lane.address) as client:
        await client.send(head + b"\r\n\r\n")
        invitation = await client.reply()
        assert invitation is not None and invitation.status == 100
        await client.send(body)
        assert (await client.final_reply()).status == 200
    async with RawClient(lane.address) as client:
        await client.send(head.replace(lane.key.encode(), b"wrong") + b"\r\n\r\n")
        reply = await client.reply()
        assert reply is not None and reply.status == 401 and reply.closes


@pytest.mark.parametrize("framing", ["length", "chunked", "length at once", "chunked at once"])
@pytest.mark.parametrize("target", [TARGET, "/v1/messages"])
async def test_max_body_bytes(opened: Opened, framing: str, target: str) -> None:
    lane = await opened(server={"max_body_bytes": len(BODY)})
    assert (await ask(lane.address, chat(lane))).status == 200
    raw = chunked(lane, BODY + b" ") if "chunked" in framing else chat(lane, BODY + b" ")
    raw = raw.replace(TARGET.encode(), target.encode())
    end = len(raw) if "once" in framing else raw.index(b"\r\n\r\n") + 4
    async with RawClient(lane.address) as client:
        await client.send(raw[:end])
        if framing == "chunked":
            await asyncio.sleep(0.05)
            await client.send(raw[end:])
        reply = await client.final_reply()
        assert reply.status == 413 and reply.closes
        assert ("request_id" in json.loads(reply.body)) is (target == "/v1/messages")
        assert await client.reply() is None
    record = (await lane.settled(2))[1]
    assert (record.outcome, record.error) == ("refused", "body_too_large")
    assert len(lane.upstream.requests) == 1


async def test_small_chunks_are_not_kept_one_by_one(opened: Opened) -> None:
    lane = await opened()
    head = request_bytes(TARGET, lane.key, fields=(("Transfer-Encoding", "chunked"),))
    async with RawClient(lane.address) as client:
        await client.send(head + b"2\r\n  \r\n" * 10_000)
        await asyncio.sleep(0.2)
        [exchange] = plane_of(lane).inflight
        assert sum(map(len, exchange.pieces)) == 20_000
        assert len(exchange.pieces) < 500


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_small_reads_are_not_kept_one_by_one(opened: Opened, framing: str) -> None:
    lane = await opened()
    chunked = framing == "chunked"
    body = b" " * 40_000 + BODY
    field = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(len(body)))
    async with RawClient(lane.address) as client:
        await client.send(request_bytes(TARGET, lane.key, fields=(field,)))
        while not plane_of(lane).inflight:
            await asyncio.sleep(0.01)
        [exchange] = plane_of(lane).inflight
        for at in range(0, len(body), 2):
            piece = body[at:at + 2]
            exchange.connection.data_received(
                b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            assert exchange.body_complete or exchange.held_bytes == at + len(piece)
            assert len(exchange.pieces) <= 10
        if chunked:
            exchange.connection.data_received(b"0\r\n\r\n")
        assert (await client.final_reply()).status == 200
    assert json.loads(lane.upstream.requests[0].body)["model"] == json.loads(BODY)["model"]


async def test_a_chunk_over_the_limit_is_not_waited_for(opened: Opened) -> None:
    lane = await opened(server={"max_body_bytes": 1000, "body_seconds": 60.0})
    head = request_bytes(TARGET, lane.key, fields=(("Transfer-Encoding", "chunked"),))
    reply = await ask(lane.address, head + b"3e9\r\n" + BODY)
    assert reply.status == 413 and reply.closes


@pytest.mark.parametrize("before", [b"", b"\r\n"])
@pytest.mark.parametrize("rest", [b"\r\n", b"Host: a b\r\n\r\n", b"X : y\r\n", b"X: y\r\n"])
async def test_head_is_refused_without_a_body(opened: Opened, before: bytes, rest: bytes) -> None:
    lane = await opened(server={"header_seconds": SHORT_SECONDS})
    async with RawClient(lane.address) as client:
        await client.send(before + b"HEAD / HTTP/1.1\r\n" + rest)
        reply = await client.reply(b"HEAD")
        assert reply is not None and reply.status in (400, 408) and reply.closes
        assert await client.reply(b"HEAD") is None


async def test_an_early_refusal_arrives_while_the_body_is_sent(opened: Opened) -> None:
    lane = await opened()
    raw = chat(lane).replace(lane.key.encode(), b"wrong").replace(
        b"Content-Length: %d" % len(BODY), b"Content-Length: %d" % FAR_BYTES)
    async with RawClient(lane.address) as client:
        client.writer.write(raw + b" " * FAR_BYTES)
        reply = await client.final_reply()
        assert reply.status == 401 and reply.closes
    assert await lane.records() == []


async def test_half_close_is_answered(opened: Opened) -> None:
    lane = await opened()
    async with RawClient(lane.address) as client:
        await client.send(chat(lane) * 2)
        client.writer.write_eof()
        for _ in range(2):
            assert (await client.final_reply()).body == ANSWER
        assert await client.reply() is None


@pytest.mark.parametrize("calls", [0, 1])
async def test_a_client_that_ends_its_idle_connection_is_no_fault(
    opened: Opened, calls: int
) -> None:
    lane, faults = await opened(), []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: faults.append(told))
    async with RawClient(lane.address) as client:
        for _ in range(calls):
            assert (await client.ask(chat(lane))).status == 200
        client.writer.write_eof()
        async with asyncio.timeout(5):
            assert await client.reply() is None
    assert faults == []


@pytest.mark.parametrize("ahead", [0, 1])
async def test_half_close_behind_what_is_answered_at_once(opened: Opened, ahead: int) -> None:
    lane = await opened()
    async with RawClient(lane.address) as client:
        await client.send(
            chat(lane) * ahead + request_bytes("/v1/models", lane.key, method="GET"))
        client.writer.write_eof()
        async with asyncio.timeout(5):
            for _ in range(ahead + 1):
                assert (await client.final_reply()).status == 200
            assert await client.reply() is None


@pytest.mark.parametrize("kept", [False, True])
async def test_http_1_0(opened: Opened, kept: bool) -> None:
    lane = await opened(lambda _: Answer(message(ANSWER, chunked=not kept)))
    fields = (("Connection", "keep-alive"),) if kept else ()
    raw = chat(lane, fields=fields).replace(b"HTTP/1.1", b"HTTP/1.0")
    async with RawClient(lane.address) as client:
        for _ in range(2 if kept else 1):
            reply = await client.ask(raw)
            assert reply.body == ANSWER and reply.values(b"transfer-encoding") == []
            assert reply.value(b"connection") == (b"keep-alive" if kept else b"close")
        if not kept:
            assert await client.reply() is None


async def test_connection_close_is_honoured(opened: Opened) -> None:
    lane = await opened()
    async with RawClient(lane.address) as client:
        reply = await client.ask(chat(lane, fields=(("Connection", "close"),)))
        assert reply.status == 200 and reply.closes
        assert await client.reply() is None


@pytest.mark.parametrize("how", ["close", "HTTP/1.0", "refused", "HTTP/1.0 refused"])
async def test_what_is_sent_behind_the_last_answer_does_not_take_it_away(
    opened: Opened, how: str
) -> None:
    lane = await opened()
    raw = chat(lane, fields=(("Connection", "close"),) if how == "close" else ())
    if "1.0" in how:
        raw = raw.replace(b"HTTP/1.1", b"HTTP/1.0")
    if "refused" in how:
        raw = raw.replace(b"Content-Length: %d" % len(BODY), b"X-Length: 1")
        raw = raw.replace(b"/v1", b"/v1/nowhere" if how == "refused" else b"/v1")
        raw = raw.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    async with RawClient(lane.address) as client:
        await client.send(raw[:raw.index(b"\r\n\r\n") + 4] if "refused" in how else raw)
        await asyncio.sleep(0.1)
        await client.send(BODY)
        await asyncio.sleep(0.1)
        await client.send(BODY)
        reply = await client.final_reply()
        assert (reply.status == 200) is ("refused" not in how)
        assert reply.ended == "complete" and reply.closes
        assert await client.reply(first_seconds=1.0) is None


async def test_a_slow_reader_of_a_last_answer_has_the_time_of_an_idle_connection(
    opened: Opened,
) -> None:
    body = json.dumps({"object": "chat.completion", "choices": [], "x": "y" * FAR_BYTES}).encode()
    lane = await opened(lambda _: Answer(message(body)), server={
        "write_buffer_bytes": 2 * FAR_BYTES, "json_reply_bytes_max": 2 * FAR_BYTES})
    async with RawClient(lane.address) as client:
        await client.send(chat(lane, fields=(("Connection", "close"),)))
        await lane.settled(1)
        await asyncio.sleep(LINGER_SECONDS + 1.0)
        reply = await client.final_reply()
        assert (reply.ended, len(reply.body)) == ("complete", len(body))
        assert await client.reply() is None
