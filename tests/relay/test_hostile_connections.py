"""Hostile clients and providers on real sockets: answers are never mixed up, cut or kept."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from relayd.relay.listener import ClientConnection
from tests.fakes.daemon import ANSWER, BRISK, Lane
from tests.fakes.rawclient import RawClient, ask, request_bytes
from tests.fakes.rawupstream import Answer, message
from tests.fakes.stepped import EVENTS, chunk, stepped
from tests.http.play import BODY, STREAM, TARGET
from tests.relay.conftest import Opened

UPLOAD = "/v1/audio/transcriptions"
BIG = 6 * 1024 * 1024
PART = (b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\ntest-model\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n'
        b"Content-Type: audio/wav\r\n\r\n")


def chat(lane: Lane, body: bytes = BODY, **more: Any) -> bytes:
    return request_bytes(TARGET, lane.key, body, **more)


def upload_head(lane: Lane) -> bytes:
    return request_bytes(UPLOAD, lane.key, fields=(
        ("Content-Type", "multipart/form-data; boundary=b"), ("Transfer-Encoding", "chunked")))


def halt(client: RawClient, halted: bool = True) -> None:
    """The client reads nothing more, or goes on reading."""
    transport: Any = client.writer.transport
    (transport.pause_reading if halted else transport.resume_reading)()


def connections(lane: Lane) -> list[ClientConnection]:
    assert lane.app._plane is not None
    return list(lane.app._plane.connections)


@pytest.mark.parametrize("method", ["OPTIONS", "GET"])
async def test_a_client_that_pipelines_and_never_reads_is_held(
    opened: Opened, method: str
) -> None:
    lane = await opened()
    raw = request_bytes("/v1/models", lane.key, method=method)
    async with RawClient(lane.address) as client:
        halt(client)
        client.writer.write(raw * (8 * BIG // len(raw)))
        await asyncio.sleep(1.5)
        held = [c.transport.get_write_buffer_size() for c in connections(lane)]
        client.reset()
    assert max(held) < 1024 * 1024


async def test_pipelined_requests_go_on_when_the_client_reads_again(opened: Opened) -> None:
    lane = await opened()
    raw = request_bytes("/v1/models", lane.key, method="GET")
    count = 20_000
    async with RawClient(lane.address) as client:
        halt(client)
        client.writer.write(raw * count)
        client.writer.write_eof()
        await asyncio.sleep(1)
        halt(client, False)
        async with asyncio.timeout(20):
            whole = await client.reader.read(-1)
    assert whole.count(b"HTTP/1.1 200 OK") == count


async def test_an_unfinished_upload_s_connection_is_not_used_again(opened: Opened) -> None:
    seen: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if b"chunked" in head:
            writer.write(message(b'{"error":{"message":"no","type":"x"}}', status=400))
            with contextlib.suppress(asyncio.IncompleteReadError):
                seen.append(await reader.readuntil(b"\r\n\r\n"))
            return
        writer.write(message(ANSWER))
        await reader.read(1)

    async with stepped(answer) as address:
        lane = await opened(provider_changes={"address": address})
        async with RawClient(lane.address) as client:
            piece = b"y" * 65536
            await client.send(upload_head(lane) + chunk(PART))
            for _ in range(20):
                await client.send(chunk(piece))
            reply = await client.final_reply()
            assert reply.status == 400
        reply = await ask(lane.address, chat(lane))
        assert (reply.status, reply.body) == (200, ANSWER)
    assert not any(b"POST" in request for request in seen)


@pytest.mark.parametrize("version", [b"HTTP/1.1", b"HTTP/1.0"])
async def test_a_slow_reader_gets_the_whole_of_a_last_reply(
    opened: Opened, version: bytes
) -> None:
    lane = await opened(lambda r: Answer(message(b"y" * int(json.loads(r.body)["seed"]))))

    async def read(size: int) -> int:
        body = BODY[:-1] + b',"seed":%d}' % size
        raw = chat(lane, body, fields=(("Connection", "close"),))
        async with RawClient(lane.address) as client:
            halt(client)
            await client.send(raw.replace(b"HTTP/1.1", version))
            await asyncio.sleep(0.9)
            halt(client, False)
            with contextlib.suppress(ConnectionError):
                whole = await client.reader.read(-1)
                return len(whole.partition(b"\r\n\r\n")[2])
            return -1

    sizes = [int(40_000 * 1.15 ** n) for n in range(38)]
    assert await asyncio.gather(*map(read, sizes)) == sizes


async def test_a_body_that_goes_wrong_while_connecting_leaks_no_connection(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)

    async with stepped(answer) as address:
        lane = await opened(provider_changes={"address": address})
        plane = lane.app._plane
        assert plane is not None
        pool = plane.policy.pools["openai"]
        connect = pool._connect

        async def slow() -> Any:
            await asyncio.sleep(0.3)
            return await connect()

        monkeypatch.setattr(pool, "_connect", slow)
        async with RawClient(lane.address) as client:
            await client.send(upload_head(lane) + chunk(PART))
            for _ in range(20):
                await client.send(chunk(b"y" * 65536))
            await asyncio.sleep(0.1)
            await client.send(b"garbage\r\n")
            assert (await client.final_reply()).status == 400
        await asyncio.sleep(0.6)
        assert pool.busy == 0


async def test_a_provider_that_closes_at_once(opened: Opened) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with stepped(answer) as address:
        lane = await opened(provider_changes={"address": address})
        plane = lane.app._plane
        assert plane is not None
        for _ in range(100):
            started = asyncio.get_running_loop().time()
            reply = await ask(lane.address, chat(lane))
            assert reply.status == 502
            assert asyncio.get_running_loop().time() - started < 0.5
        assert plane.policy.pools["openai"].busy == 0


@pytest.mark.parametrize("framing", ["chunked", "close"])
async def test_a_stream_without_its_last_event_is_not_ended_cleanly(
    opened: Opened, framing: str
) -> None:
    event = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
    whole = message(event, "text/event-stream", chunked=True)
    if framing == "close":
        whole = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + event
    lane = await opened(lambda _: Answer(whole, "segments-90", after="close"))
    for body in (STREAM, BODY[:-1] + b',"stream":true}'):
        reply = await ask(lane.address, chat(lane, body))
        assert reply.body.startswith(event) and b'"error"' in reply.body
        assert reply.ended == "closed"
    for record in await lane.settled(2):
        assert record.outcome == "provider_truncated"


@pytest.mark.parametrize(("body", "status", "ended"), [
    (b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n', 200, "closed"),
    (b"<html><body>Bad gateway</body></html>", 502, "complete"),
])
async def test_a_stream_without_its_last_event_that_came_at_once(
    opened: Opened, body: bytes, status: int, ended: str
) -> None:
    raw = message(body, "text/event-stream", chunked=True)
    lane = await opened(lambda _: Answer(raw))
    reply = await ask(lane.address, chat(lane, STREAM))
    assert (reply.status, reply.ended) == (status, ended)
    (record,) = await lane.settled(1)
    assert (record.status, record.outcome) == (status, "provider_truncated")


async def test_a_last_event_too_long_to_be_read_is_an_end(opened: Opened) -> None:
    body = b"data: {\"x\":\"" + b"y" * (3 * 1024 * 1024) + b"\"}\n\n"
    lane = await opened(lambda _: Answer(message(body, "text/event-stream", chunked=True)))
    reply = await ask(lane.address, chat(lane, STREAM))
    assert (reply.body, reply.ended) == (body, "complete")


async def test_heartbeats_never_break_a_declared_length(opened: Opened) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        first = b'data: {"choices":[]}\n\n'
        last = b"data: [DONE]\n\n"
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                     b"Content-Length: %d\r\n\r\n" % len(first + last) + first)
        await asyncio.sleep(0.9)
        writer.write(last)
        await reader.read(-1)

    async with stepped(answer) as address:
        lane = await opened(provider_changes={"address": address},
                            server={"heartbeat_seconds": 0.2})
        reply = await ask(lane.address, chat(lane, STREAM))
        assert reply.body.endswith(b"data: [DONE]\n\n") and b"\n\n\n" in reply.body


async def test_a_reply_that_stalls_before_its_first_octet_is_told(opened: Opened) -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
    lane = await opened(lambda _: Answer(raw, after="hold"), provider_changes=BRISK)
    reply = await ask(lane.address, chat(lane))
    assert reply.status == 504
    (record,) = await lane.settled(1)
    assert (record.status, record.error) == (504, "upstream_stalled")


async def test_a_client_that_never_reads_does_not_hold_its_call_for_ever(opened: Opened) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(EVENTS)
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(chunk(b"data: %b\n\n" % (b"x" * 60000)))
                await writer.drain()

    async with stepped(answer) as address:
        lane = await opened(provider_changes={"address": address}, server={"idle_seconds": 1.0})
        async with RawClient(lane.address) as client:
            halt(client)
            await client.send(chat(lane, STREAM))
            (record,) = await lane.settled(1)
            assert record.outcome == "client_left"


async def test_retry_after_survives_a_rewritten_error(opened: Opened) -> None:
    body = b'{"error":{"message":"in organization org-AbCdEfGh1234 limit","type":"x"}}'
    for given, seconds, milliseconds in ((("retry-after", "7"), b"7", b"7000"),
                                         (("retry-after-ms", "1500"), b"2", b"2000")):
        lane = await opened(lambda _, g=given: Answer(message(body, status=429, fields=(g,))))
        reply = await ask(lane.address, chat(lane))
        assert reply.status == 429 and b"org-" not in reply.body
        assert reply.value(b"retry-after") == seconds
        assert reply.value(b"retry-after-ms") == milliseconds
        break


async def test_numbers_of_any_length_in_a_body_no_route_takes(opened: Opened) -> None:
    lane = await opened(patterns=("known",))
    body = b'{"model":"unknown-one","messages":[],"seed":' + b"9" * 6000 + b"}"
    reply = await ask(lane.address, chat(lane, body))
    assert reply.status in (400, 404)


async def test_drain_tells_streams_that_it_ends(opened: Opened) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(EVENTS + chunk(b'data: {"choices":[]}\n\n'))
        await reader.read(-1)
        await asyncio.sleep(10)

    async with stepped(answer) as address:
        lane = await opened(provider_changes={"address": address})
        async with RawClient(lane.address) as client:
            await client.send(chat(lane, STREAM))
            await client.reader.readuntil(b"[]}\n\n")
            await lane.app.stop(drain_seconds=0.1)
            rest = await client.reader.read(-1)
            assert b'"error"' in rest and not rest.endswith(b"0\r\n\r\n")


async def test_http_1_0_is_not_told_to_continue(opened: Opened) -> None:
    lane = await opened()
    raw = chat(lane, fields=(("Expect", "100-continue"),)).replace(b"HTTP/1.1", b"HTTP/1.0")
    head, _, body = raw.partition(b"\r\n\r\n")
    async with RawClient(lane.address) as client:
        await client.send(head + b"\r\n\r\n")
        await asyncio.sleep(0.1)
        await client.send(body)
        reply = await client.reply()
        assert reply is not None and reply.status == 200


LONG = b'[{"candidates":[{"content":{"parts":[{"text":"' + b"long " * 200


@pytest.mark.parametrize(("sent", "passed", "told"), [
    (b'[{"candidates":[]}', b'[{"candidates":[]}', True),
    (b'[{"candidates":[]}\n,\n', b'[{"candidates":[]}\n,\n', True),
    (b'[{"candidates":[]},{"content"', b'[{"candidates":[]},', True),  # half of one is held back
    (b'[{"candidates":[{"content"', b"[", True),
    (LONG, LONG, False),
])
async def test_a_broken_array_ends_with_an_error(
    opened: Opened, sent: bytes, passed: bytes, told: bool
) -> None:
    raw = (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
           b"Transfer-Encoding: chunked\r\n\r\n")
    lane = await opened(lambda _: Answer(raw + chunk(sent), after="close"))
    reply = await ask(lane.address, request_bytes(
        "/v1beta/models/m:streamGenerateContent", lane.key, b'{"contents":[]}'))
    assert reply.body.startswith(passed) and reply.ended == "closed"
    if told:
        assert json.loads(reply.body)[-1]["error"]["code"] == 502
    else:
        assert reply.body == passed


async def test_a_unix_socket_alone(opened: Opened, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    lane = await opened(server={"listen": (f"unix:{path}",)})
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(chat(lane))
    assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
    writer.close()
    await writer.wait_closed()


async def test_an_upload_never_meets_a_connection_that_was_kept(opened: Opened) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.partition(b"Content-Length: ")[2].split(b"\r")[0]))
        writer.write(message(ANSWER))
        await reader.read(1)  # what comes next is not answered

    async with stepped(answer) as address:
        lane = await opened(provider_changes={"address": address})
        assert (await ask(lane.address, chat(lane))).status == 200
        raw = upload_head(lane) + chunk(PART + b"x\r\n--b--\r\n") + chunk(b"")
        assert (await ask(lane.address, raw)).status == 200
