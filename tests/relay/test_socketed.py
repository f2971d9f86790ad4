"""Responses over WebSocket: each response is a call of its own, told in events."""

from __future__ import annotations

import asyncio
import json
import socket as network
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from openai import AsyncOpenAI
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from relayd.ops.config import LimitsConfig
from relayd.relay import network as relay_network
from relayd.relay import socketed
from relayd.relay.plane import Plane
from relayd.wire.websocket import (
    CLOSE, GOING_AWAY, PING, POLICY, PROTOCOL_ERROR, RESTART, TEXT, TOO_BIG, TRY_LATER,
    UNSUPPORTED, close_payload, frame,
)
from tests.fakes.daemon import BRISK, Lane
from tests.fakes.rawclient import RawClient, request_bytes
from tests.fakes.rawupstream import Answer, message
from tests.fakes.sockets import HANDSHAKE
from tests.fakes.stepped import stepped
from tests.relay.conftest import Opened

MODEL = "gpt-test"
PATH = "/v1/responses"
USAGE = {
    "input_tokens": 10, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 15,
}
CREATE = {"type": "response.create", "model": MODEL, "input": "Hello?", "store": True}
ON = {"responses_websocket": True}
KEY = b"\1\2\3\4"


def said(kind: str, **members: Any) -> str:
    """One event's JSON; it has spaces, as the relay's own never has."""
    return json.dumps({"type": kind, **members})


EVENTS = [
    said("response.created", sequence_number=0, response={"id": "resp_1", "output": []}),
    said("response.output_text.delta", sequence_number=1, item_id="m", output_index=0,
         content_index=0, delta="Hello", logprobs=[]),
    said("response.completed", sequence_number=2, response={
        "id": "resp_1", "object": "response", "created_at": 1, "status": "completed",
        "model": MODEL, "output": [], "usage": USAGE}),
]


def stream(events: list[str], more: bytes = b"") -> bytes:
    body = more + b"".join(b"event: x\ndata: %b\n\n" % event.encode() for event in events)
    return message(body, "text/event-stream", chunked=True)


ANSWER = Answer(stream(EVENTS, b": a comment\n\n"))
BEGUN = stream(EVENTS[:2])[:-5]


def answered(_: object = None) -> Answer:
    return ANSWER


def socket_to(lane: Lane, fields: Mapping[str, str] | None = None, **options: Any) -> connect:
    host, port = lane.address
    headers = {"Authorization": f"Bearer {lane.key}",
               "OpenAI-Beta": "responses_websockets=2026-02-06", **(fields or {})}
    return connect(f"ws://{host}:{port}{PATH}", additional_headers=headers, proxy=None, **options)


def plane_of(lane: Lane) -> Plane:
    plane = lane.app._plane
    assert plane is not None
    return plane


async def create(socket: ClientConnection, **members: Any) -> None:
    await socket.send(json.dumps({**CREATE, **members}))


async def heard(socket: ClientConnection, count: int = 1) -> list[str]:
    async with asyncio.timeout(5):
        found = [await socket.recv() for _ in range(count)]
    return [text for text in found if isinstance(text, str)]


async def event(socket: ClientConnection) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((await heard(socket))[0])
    return found


async def closed(socket: ClientConnection) -> int:
    with pytest.raises(ConnectionClosed):
        await heard(socket, 100)
    return socket.close_code or 0


async def test_every_response_is_a_call_of_its_own(opened: Opened) -> None:
    lane = await opened(answered, server=ON)
    async with socket_to(lane) as socket:
        assert socket.response is not None and socket.response.status_code == 101
        assert "connection: close" not in str(socket.response.headers).lower()
        for _ in range(2):
            await create(socket)
            assert await heard(socket, 3) == EVENTS
    first, second = await lane.settled(2)
    assert first.id != second.id
    for record in (first, second):
        assert (record.api, record.endpoint, record.stream) == ("openai", PATH, True)
        assert (record.status, record.outcome, record.error) == (200, "completed", None)
        assert (record.model, record.provider, record.attempts) == (MODEL, "openai", 1)
        assert (record.input_tokens, record.output_tokens, record.usage_source) == (
            10, 5, "reported")
    await asyncio.sleep(0.1)
    assert len(await lane.records()) == 2
    plane = plane_of(lane)
    assert not plane.inflight and plane.overload.pending_bytes == 0


async def test_events_that_come_a_chunk_a_read_are_messages(opened: Opened) -> None:
    """Over HTTP such a chunk passes as it came."""
    events = [EVENTS[0], *[EVENTS[1]] * 5, EVENTS[2]]

    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"Hello?")
        writer.write(message(b"", "text/event-stream", chunked=True)[:-5])
        for text in events:
            data = b"data: %b\n\n" % text.encode()
            writer.write(b"%x\r\n%b\r\n" % (len(data), data))
            await writer.drain()
            await asyncio.sleep(0.01)
        writer.write(b"0\r\n\r\n")
        await reader.read()

    async with stepped(send) as address:
        lane = await opened(server=ON, provider_changes={"address": address})
        async with socket_to(lane) as socket:
            await create(socket)
            assert await heard(socket, len(events)) == events
            [record] = await lane.settled(1)
    assert (record.outcome, record.output_tokens) == ("completed", 5)


@pytest.mark.parametrize("beta", ["", "responses=experimental"])
async def test_the_provider_gets_what_it_gets_over_http(opened: Opened, beta: str) -> None:
    lane = await opened(answered, server=ON)
    upgrade = f"responses_websockets=2026-02-06,{beta}".rstrip(",")
    async with socket_to(lane, {"OpenAI-Beta": upgrade}) as socket:
        await create(socket, generate=True, stream=False, previous_response_id="",
                     event_id="e", instructions="\ud800")
        await heard(socket, 3)
    body = json.dumps({**CREATE, "stream": True, "instructions": "\ud800"}).replace(
        '"type": "response.create", ', "").encode()
    async with RawClient(lane.address) as client:
        fields = (("OpenAI-Beta", beta),) if beta else ()
        raw = request_bytes(PATH, lane.key, body, fields=fields)
        assert (await client.ask(raw)).status == 200
    over_socket, over_http = lane.upstream.requests
    assert over_socket.raw == over_http.raw
    assert beta.encode() in over_socket.raw
    assert json.loads(over_socket.body) == {
        "model": MODEL, "input": "Hello?", "instructions": "\ud800", "store": False,
        "stream": True}


async def test_a_warm_up_asks_no_provider(opened: Opened) -> None:
    lane = await opened(answered, server=ON)
    async with socket_to(lane) as socket:
        await create(socket, generate=False)
        created, completed = [json.loads(text) for text in await heard(socket, 2)]
        assert (created["type"], completed["type"]) == ("response.created", "response.completed")
        assert (completed["response"]["output"], completed["response"]["id"]) == ([], "")
        assert completed["response"]["usage"]["total_tokens"] == 0
        assert lane.upstream.requests == []
        await create(socket, previous_response_id=completed["response"]["id"])
        assert await heard(socket, 3) == EVENTS
    assert len(await lane.settled(1)) == 1


async def test_nothing_is_kept_to_build_on(opened: Opened) -> None:
    lane = await opened(answered, server=ON)
    async with socket_to(lane) as socket:
        await create(socket, previous_response_id="resp_1")
        refused = await event(socket)
        assert (refused["type"], refused["status"]) == ("error", 400)
        assert refused["error"]["code"] == "previous_response_not_found"
        assert lane.upstream.requests == []
        await create(socket)
        assert await heard(socket, 3) == EVENTS
    records = await lane.settled(2)
    assert [record.error for record in records] == ["refused_field", None]


@pytest.mark.parametrize("message_, code, param", [
    ('{"type":"response.cancel"}', "unknown_event", "type"),
    ('{"type":"response.steer","input":"x","previous_response_id":"y"}', "unknown_event", "type"),
    ("{}", "unknown_event", "type"),
    ("[]", "invalid_json", None),
    ('{"type":', "invalid_json", None),
    ('{"type":"response.create","stream_id":"lane"}', "invalid_field", "stream_id"),
    ('{"type":"response.create","generate":1}', "invalid_field", "generate"),
    ('{"type":"response.create","input":"x"}', "missing_model", "model"),
    ('{"type":"response.create","model":"gpt-test","conversation":"c"}', "refused_field",
     "conversation"),
    ('{"type":"response.create","model":"gpt-test","input":' + "[" * 400 + "]" * 400 + "}",
     "invalid_json", None),
])
async def test_what_cannot_be_served_is_told_and_the_socket_stays(
    opened: Opened, message_: str, code: str, param: str | None
) -> None:
    lane = await opened(answered, server=ON)
    async with socket_to(lane) as socket:
        await socket.send(message_)
        error = (await event(socket))["error"]
        assert (error["code"], error["param"]) == (code, param)
        await create(socket)
        assert await heard(socket, 3) == EVENTS


async def test_errors_of_the_provider_and_of_the_relay_are_events(opened: Opened) -> None:
    body = b'{"error":{"message":"No.","type":"invalid_request_error","param":"x","code":"y"}}'
    lane = await opened(answered, server=ON, patterns=("gpt-*",))
    async with socket_to(lane) as socket:
        await create(socket, model="other")
        assert (await event(socket))["error"]["code"] == "model_not_found"
        lane.upstream.answers.append(Answer(message(body, status=400)))
        await create(socket)
        refused = await event(socket)
        assert (refused["status"], refused["error"]["message"]) == (400, "No.")
        assert refused["headers"]["x-request-id"]
        lane.upstream.answers.append(Answer(BEGUN, after="close"))
        await create(socket)
        assert await heard(socket, 2) == EVENTS[:2]
        failed = await event(socket)
        assert failed["type"] == "response.failed"
        lane.upstream.answers.append(Answer(message(b'{"id": "resp_2", "output": []}')))
        await create(socket)
        whole = await event(socket)
        assert (whole["type"], whole["response"]["id"]) == ("response.completed", "resp_2")
        await create(socket)
        assert await heard(socket, 3) == EVENTS
    records = await lane.settled(5)
    assert [record.outcome for record in records[:3]] == [
        "refused", "provider_error", "provider_truncated"]


async def test_one_response_at_a_time(opened: Opened) -> None:
    lane = await opened(answered, server=ON, provider_changes=BRISK)
    lane.upstream.answers.append(Answer(BEGUN, after="hold"))
    async with socket_to(lane) as socket:
        await create(socket)
        assert await heard(socket, 2) == EVENTS[:2]
        await create(socket)
        refused = await event(socket)
        assert refused["status"] == 429 and "One response" in refused["error"]["message"]
        assert (await event(socket))["type"] == "response.failed"  # it stalled
    [record] = await lane.settled(1)
    assert record.error == "upstream_stalled" and len(lane.upstream.requests) == 1


async def test_limits_are_told_as_events(opened: Opened) -> None:
    lane = await opened(answered, server=ON, limits=LimitsConfig(requests_per_minute=1))
    async with socket_to(lane) as socket:
        await create(socket)
        await heard(socket, 3)
        await create(socket)
        limited = await event(socket)
        assert (limited["status"], limited["error"]["code"]) == (429, "rate_limit_exceeded")
        assert int(limited["headers"]["retry-after"]) >= 1


@pytest.mark.parametrize("how", ["close", "gone"])
async def test_a_client_that_leaves_ends_its_response(opened: Opened, how: str) -> None:
    lane = await opened(answered, server=ON)
    lane.upstream.answers.append(Answer(BEGUN, after="hold"))
    async with socket_to(lane) as socket:
        await create(socket)
        await heard(socket, 2)
        if how == "close":
            await socket.close()
        else:
            socket.transport.abort()
        [record] = await lane.settled(1)
    assert (record.error, record.status) == ("client_left", 200)
    async with asyncio.timeout(5):
        while plane_of(lane).connections:
            await asyncio.sleep(0.02)
    assert not plane_of(lane).inflight


async def upgraded(client: RawClient, lane: Lane, behind: bytes = b"") -> None:
    await client.send(request_bytes(PATH, lane.key, method="GET", fields=HANDSHAKE) + behind)
    head = await asyncio.wait_for(client.reader.readuntil(b"\r\n\r\n"), 5)
    assert head.startswith(b"HTTP/1.1 101 "), head


async def test_a_client_that_leaves_behind_the_last_event_has_had_all(opened: Opened) -> None:
    connections: list[asyncio.StreamWriter] = []

    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        for _ in range(2):
            await reader.readuntil(b"Hello?")
            writer.write(stream(EVENTS)[:-5])
            await asyncio.sleep(0.3)
            writer.write(b"0\r\n\r\n")

    async with stepped(send) as address:
        lane = await opened(server=ON, provider_changes={"address": address})
        for _ in range(2):
            async with socket_to(lane) as socket:
                await create(socket)
                assert await heard(socket, 3) == EVENTS
            await asyncio.sleep(0.5)
        records = await lane.settled(2)
    assert {(record.outcome, record.error) for record in records} == {("completed", None)}
    assert len(connections) == 1  # which is used again
    assert not plane_of(lane).inflight


async def test_frames_that_come_with_the_handshake_are_heard(opened: Opened) -> None:
    lane = await opened(answered, server=ON)
    text = json.dumps(CREATE).encode()
    cut = frame(TEXT, text, KEY)
    async with RawClient(lane.address) as client:
        await upgraded(client, lane, cut + frame(CLOSE, close_payload(1000), KEY)[:3])
        expected = b"".join(frame(TEXT, each.encode()) for each in EVENTS)
        async with asyncio.timeout(5):
            assert await client.reader.readexactly(len(expected)) == expected
        await client.send(frame(CLOSE, close_payload(1000), KEY)[3:])
        async with asyncio.timeout(5):
            assert await client.reader.read() == frame(CLOSE, close_payload(1000))


@pytest.mark.parametrize("raw, code", [
    (frame(TEXT, b"{}"), PROTOCOL_ERROR),
    (b"\xc1\x80" + KEY, PROTOCOL_ERROR),
    (frame(2, b"x", KEY), UNSUPPORTED),
    (b"\x81\xff" + (1 << 40).to_bytes(8, "big") + KEY, TOO_BIG),
    (frame(PING, b"", KEY) * 100, POLICY),
])
async def test_misuse_ends_the_socket(opened: Opened, raw: bytes, code: int) -> None:
    lane = await opened(answered, server=ON)
    async with RawClient(lane.address) as client:
        await upgraded(client, lane)
        await client.send(raw)
        async with asyncio.timeout(8):
            said_ = await client.reader.read()
        assert said_.endswith(frame(CLOSE, close_payload(code)))
    assert not plane_of(lane).inflight


async def test_messages_that_are_not_whole_count_as_bodies_do(opened: Opened) -> None:
    lane = await opened(answered, server={**ON, "pending_bytes_max": 50_000})
    plane = plane_of(lane)

    async def until(pending: int, connections: int) -> None:
        async with asyncio.timeout(5):
            while (plane.overload.pending_bytes, len(plane.connections)) != (pending, connections):
                await asyncio.sleep(0.01)

    part = bytes([TEXT, 0xfe]) + (30_000).to_bytes(2, "big") + KEY + b"x" * 30_000
    async with RawClient(lane.address) as client, RawClient(lane.address) as other:
        await upgraded(client, lane)
        await upgraded(other, lane)
        await client.send(part)
        await until(30_000, 2)
        await other.send(part)
        async with asyncio.timeout(8):
            assert await other.reader.read() == frame(CLOSE, close_payload(TRY_LATER))
        await until(30_000, 1)
    await until(0, 0)


async def test_a_silent_client_is_asked_then_told_to_go(opened: Opened) -> None:
    lane = await opened(answered, server={**ON, "idle_seconds": 0.9})
    async with RawClient(lane.address) as client:
        await upgraded(client, lane)
        async with asyncio.timeout(8):
            said_ = await client.reader.read()
        assert said_.startswith(frame(PING, b""))
        assert said_.endswith(frame(CLOSE, close_payload(GOING_AWAY)))
    async with socket_to(lane) as socket:  # this one answers pings
        await asyncio.sleep(1.8)
        await create(socket)
        assert await heard(socket, 3) == EVENTS


async def test_a_socket_has_an_end(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socketed, "SESSION_SECONDS_MAX", 0.5)
    lane = await opened(answered, server={**ON, "idle_seconds": 0.9})
    async with socket_to(lane) as socket:
        assert await closed(socket) == GOING_AWAY


async def test_a_provider_that_thinks_is_heard_of_by_pings(opened: Opened) -> None:
    lane = await opened(answered, server={**ON, "heartbeat_seconds": 0.2})
    lane.upstream.answers.append(Answer(BEGUN, after="hold"))
    async with RawClient(lane.address) as client:
        await upgraded(client, lane)
        await client.send(frame(TEXT, json.dumps(CREATE).encode(), KEY))
        expected = b"".join(frame(TEXT, each.encode()) for each in EVENTS[:2]) + frame(PING, b"")
        async with asyncio.timeout(5):
            assert await client.reader.readexactly(len(expected)) == expected


async def test_a_stop_lets_the_running_response_end(opened: Opened) -> None:
    lane = await opened(answered, server={**ON, "drain_seconds": 5.0})
    lane.upstream.answers.append(Answer(stream(EVENTS), pace="segments-64"))
    async with socket_to(lane) as idle, socket_to(lane) as socket:
        await create(socket)
        assert await heard(socket, 1) == EVENTS[:1]
        plane_of(lane).drain()
        await create(socket)
        codes = [json.loads(text).get("error", {}).get("code") or text
                 for text in await heard(socket, 3)]
        assert sorted(codes) == sorted(["draining", *EVENTS[1:]])
        assert await closed(socket) == RESTART
        await create(idle)
        assert (await event(idle))["error"]["code"] == "draining"
        assert await closed(idle) == RESTART
    plane_of(lane).draining = False


async def test_a_slow_reader_gets_the_whole_of_what_a_stop_lets_end(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socketed, "CLOSE_SECONDS", 0.3)
    long = said("response.output_text.delta", delta="word " * 2_000_000)
    lane = await opened(
        lambda _: Answer(stream([EVENTS[0], long, EVENTS[2]])),
        server={**ON, "write_buffer_bytes": 1 << 24, "drain_seconds": 8.0})
    async with RawClient(lane.address) as client:
        await upgraded(client, lane)
        transport = client.writer.transport
        sock = transport.get_extra_info("socket")
        sock.setsockopt(network.SOL_SOCKET, network.SO_RCVBUF, 65536)
        transport.pause_reading()  # type: ignore[attr-defined]
        await client.send(frame(TEXT, json.dumps(CREATE).encode(), KEY))
        [record] = await lane.settled(1)
        assert record.outcome == "completed"
        plane_of(lane).drain()
        plane_of(lane).leave()
        await asyncio.sleep(1.0)
        transport.resume_reading()  # type: ignore[attr-defined]
        async with asyncio.timeout(8):
            got = await client.reader.read()
        told = [EVENTS[0], long, EVENTS[2]]
        assert got == b"".join(frame(TEXT, each.encode()) for each in told) + frame(
            CLOSE, close_payload(RESTART))
    plane_of(lane).draining = False


async def test_idle_sockets_leave_with_a_stop(opened: Opened) -> None:
    lane = await opened(answered, server=ON)
    async with socket_to(lane) as socket:
        plane_of(lane).drain()
        plane_of(lane).leave()
        assert await closed(socket) == RESTART
    plane_of(lane).draining = False


async def test_a_slow_reader_holds_up_the_provider(opened: Opened) -> None:
    long = [said("response.output_text.delta", delta="word " * 12_000) for _ in range(400)]
    lane = await opened(
        lambda _: Answer(stream([EVENTS[0], *long, EVENTS[2]])),
        server={**ON, "write_buffer_bytes": 65536}, provider_changes={})
    small = network.socket()
    # else the kernel may take all of it: tcp_rmem goes up to 32 MiB
    small.setsockopt(network.SOL_SOCKET, network.SO_RCVBUF, 65536)
    small.connect(lane.address)
    async with socket_to(lane, max_queue=1, sock=small) as socket:
        await create(socket)
        assert await heard(socket, 1) == EVENTS[:1]
        [exchange] = plane_of(lane).inflight
        async with asyncio.timeout(10):
            while exchange.attempt is None or not exchange.attempt.paused:
                await asyncio.sleep(0.05)
        assert exchange.connection.transport.get_write_buffer_size() < 4_000_000
        assert await heard(socket, 401) == [*long, EVENTS[2]]


async def test_a_handshake_must_be_sound_and_have_a_key(opened: Opened) -> None:
    lane = await opened(answered, server=ON)
    changes: list[tuple[dict[str, str], int]] = [
        ({"Sec-WebSocket-Version": "8"}, 426), ({"Sec-WebSocket-Key": "x"}, 400)]
    for changed, status in changes:
        fields = tuple({**dict(HANDSHAKE), **changed}.items())
        async with RawClient(lane.address) as client:
            reply = await client.ask(request_bytes(PATH, lane.key, method="GET", fields=fields))
            assert (reply.status, reply.closes) == (status, True)
    with pytest.raises(InvalidStatus) as refused:
        async with socket_to(lane, {"Authorization": "Bearer nobody"}):
            raise AssertionError
    assert refused.value.response.status_code == 401


async def test_a_key_that_is_no_more_is_told_at_the_next_response(opened: Opened) -> None:
    lane = await opened(answered, server=ON)
    async with socket_to(lane) as socket:
        view = plane_of(lane).view
        view.current = replace(view.current, keys={})
        await create(socket)
        refused = await event(socket)
        assert (refused["status"], refused["error"]["code"]) == (401, "invalid_api_key")


async def test_the_official_sdk(opened: Opened) -> None:
    lane = await opened(answered, server=ON)
    host, port = lane.address
    async with AsyncOpenAI(base_url=f"http://{host}:{port}/v1", api_key=lane.key) as client:
        async with client.responses.connect() as connection:
            for _ in range(2):
                await connection.response.create(model=MODEL, input="Hello?")
                kinds = []
                async for told in connection:
                    kinds.append(told.type)
                    if told.type == "response.completed":
                        assert told.response.usage is not None
                        assert told.response.usage.total_tokens == 15
                        break
                assert kinds == [json.loads(each)["type"] for each in EVENTS]
            await connection.response.create(
                model=MODEL, input="More", previous_response_id="resp_1")
            error = await connection.recv()
            assert error.type == "error"
            assert error.error.code == "previous_response_not_found"
    assert len(await lane.settled(3)) == 3


async def test_the_client_that_a_balancer_has_named_stays_so(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_network, "AGAIN_SECONDS", 0.0)
    listen = ("127.0.0.1:0",)
    lane = await opened(answered, server={
        **ON, "listen": listen, "proxy_protocol": listen, "trusted_proxies": ("127.0.0.0/8",)})
    await lane.app._jobs["network"].stop()
    sock = network.create_connection(lane.address)
    sock.sendall(b"PROXY TCP4 192.0.2.7 127.0.0.1 56324 443\r\n")
    async with socket_to(lane, sock=sock) as client:
        for connection in plane_of(lane).connections:
            connection.peer = None  # as where trusted_proxies are others after a reload
        await create(client)
        await heard(client, 3)
    assert {(each.address, each.port) for each in plane_of(lane).network.take()} == {
        ("192.0.2.7", 56324)}
