"""Realtime sessions: from the handshake to the record, against real peers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect as connect_blocking
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Request, TextMessage

from relayd.control import key
from relayd.core.journal import Mark
from relayd.core.price import Price, PriceBook, unit_prices
from relayd.core.provider import Proxy
from relayd.core.record import CallRecord
from relayd.core.route import Deployment, Route
from relayd.core.timestamp import HOUR_MS
from relayd.ops.clock import unix_ms
from relayd.ops.config import BillingConfig, LimitsConfig, PrivacyConfig
from relayd.ops.metrics import Metrics
from relayd.relay.gauges import states
from relayd.relay.meter import Meter
from relayd.store.db import open_database
from tests.fakes import standing
from tests.fakes.daemon import BRISK, CREDENTIAL, Lane, provider
from tests.fakes.rawclient import RawClient, ask, request_bytes
from tests.fakes.sockets import (
    HANDSHAKE, MODEL, TARGET, Provider, accept, answer, event, obliging, realtime_provider, rest,
    session, told, upgraded,
)
from tests.fakes.stepped import stepped, vanish
from tests.relay.conftest import Opened

CREATE = '{"type":"response.create"}'


CLIENTS = [
    # openai-python 3.54, openai-node 7.57, its browser class: as they were recorded
    ["Host: 127.0.0.1:9100", "Upgrade: websocket", "Connection: Upgrade",
     "Sec-WebSocket-Key: CiqTuEjV+bEg4LyfrOzhVQ==", "Sec-WebSocket-Version: 13",
     "Authorization: Bearer KEY", "Accept: application/json", "Content-Type: application/json",
     "User-Agent: AsyncOpenAI/Python 3.54.0", "X-Stainless-Lang: python",
     "X-Stainless-OS: Linux", "X-Stainless-Async: async:asyncio"],
    ["authorization: Bearer KEY", "user-agent: OpenAI/JS 7.57.0", "Sec-WebSocket-Version: 13",
     "Sec-WebSocket-Key: WmZYLKBwAUr4U5oNf6v+vA==", "Connection: Upgrade", "Upgrade: websocket",
     "Host: localhost:9443"],
    ["host: localhost:9443", "connection: upgrade", "upgrade: websocket",
     "sec-websocket-key: UcGeGsnHgEIiCt1GCFYDXw==", "sec-websocket-version: 13",
     "sec-websocket-protocol: realtime, openai-insecure-api-key.KEY",
     "sec-websocket-extensions: permessage-deflate; client_max_window_bits", "accept: */*",
     "accept-language: *", "sec-fetch-mode: websocket", "user-agent: node", "cookie: a=b",
     "origin: https://example.org", "traceparent: 00-1-2-01", "x-forwarded-for: 192.0.2.1"],
]


async def record_of(lane: Lane) -> CallRecord:
    [record] = await lane.settled(1)
    return record


async def refusal(lane: Lane, target: str = TARGET, **fields: str) -> tuple[int, Any]:
    """The status and the error that a handshake is answered with."""
    changed = {**dict(HANDSHAKE), **{k.replace("_", "-"): v for k, v in fields.items()}}
    key = changed.pop("key", lane.key)
    reply = await ask(lane.address, request_bytes(
        target, key, method=changed.pop("method", "GET"), fields=tuple(changed.items())))
    assert reply.closes
    return reply.status, json.loads(reply.body)["error"]


async def test_a_session_is_one_record_with_the_sum_of_its_responses(opened: Opened) -> None:
    async with realtime_provider() as upstream:
        lane = await opened(provider_changes={"address": upstream.address})
        async with session(lane) as socket:
            assert socket.response is not None
            call_id = socket.response.headers["x-request-id"]
            assert (await told(socket, "session.created"))["session"]["id"] == "sess_1"
            for _ in range(3):
                await socket.send(CREATE)
                assert (await told(socket, "response.output_text.delta"))["delta"] == "Hello"
                await told(socket, "response.done")
        record = await record_of(lane)
        assert record.id == call_id
        assert (record.api, record.endpoint, record.stream) == ("openai", "/v1/realtime", True)
        assert (record.status, record.outcome, record.error) == (101, "completed", None)
        assert (record.model, record.provider, record.provider_model) == (MODEL, "openai", MODEL)
        assert (record.input_tokens, record.output_tokens, record.cache_read_input_tokens) == (
            30, 15, 12)
        assert (record.usage_source, record.attempts) == ("reported", 1)
        assert record.counted_output_tokens == 6 and record.first_byte_ms is not None
        assert upstream.closes == [(1000, "")] and upstream.heard == [CREATE] * 3


async def test_each_response_is_marked_in_the_journal(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with realtime_provider() as upstream:
        lane = await opened(provider_changes={"address": upstream.address})
        marks: list[Mark] = []
        monkeypatch.setattr(Meter, "mark", lambda meter, mark: marks.append(mark))
        async with session(lane) as socket:
            for _ in range(2):
                await socket.send(CREATE)
                await told(socket, "response.done")
        await record_of(lane)
        assert [(m.status, m.usage and m.usage.output_tokens) for m in marks] == [
            (101, 5), (101, 10)]


async def test_the_provider_sees_one_handshake_whatever_the_client(opened: Opened) -> None:
    heads: list[bytes] = []

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await accept(reader, writer))
        await reader.read()

    async with stepped(play) as address:
        lane = await opened(provider_changes={"address": address})
        for fields in CLIENTS:
            async with RawClient(lane.address) as client:
                lines = "\r\n".join([f"GET {TARGET} HTTP/1.1", *fields, "", ""])
                await client.send(lines.replace("KEY", lane.key).encode())
                head = await asyncio.wait_for(client.reader.readuntil(b"\r\n\r\n"), 5)
                assert head.startswith(b"HTTP/1.1 101") and lane.key.encode() not in head
    seen = set()
    for head in heads:
        key = head.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
        seen.add(head.replace(key, b"KEY"))
        assert lane.key.encode() not in head
    assert seen == {
        b"GET /v1/realtime?model=gpt-realtime HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: KEY\r\nAuthorization: Bearer %b\r\nUser-Agent: relayd\r\n\r\n" % (
            address.port, CREDENTIAL.encode())}
    keys = {h.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0] for h in heads}
    assert len(keys) == len(heads)


async def test_the_key_may_come_in_the_subprotocol_or_the_query(opened: Opened) -> None:
    async with realtime_provider() as upstream:
        lane = await opened(provider_changes={"address": upstream.address})
        protocols = ["realtime", "openai-insecure-api-key." + lane.key, "openai-beta.realtime-v1"]
        async with session(lane, key="", subprotocols=protocols) as socket:
            assert socket.subprotocol == "realtime"
            await told(socket, "session.created")
        async with session(lane, key="", query=f"&key={lane.key}") as socket:
            assert socket.subprotocol is None
            await told(socket, "session.created")
        await lane.settled(2)
        (path, fields), (_, plain) = upstream.handshakes
        assert path == TARGET and "sec-websocket-protocol" not in fields
        assert fields["openai-beta"] == "realtime=v1" and "openai-beta" not in plain
        assert lane.key not in str(upstream.handshakes)


async def test_the_deployments_model_is_sent(opened: Opened) -> None:
    async with realtime_provider() as upstream:
        lane = await opened(
            provider_changes={"address": upstream.address},
            routes=(Route("voice", (Deployment("openai", MODEL),)),))
        async with session(lane, "voice") as socket:
            await told(socket, "session.created")
        record = await record_of(lane)
        assert (record.model, record.provider_model) == ("voice", MODEL)
        assert upstream.handshakes[0][0] == TARGET


async def test_a_pseudonym_stands_for_the_account_where_policy_says_so(opened: Opened) -> None:
    async with realtime_provider() as upstream:
        lane = await opened(provider_changes={"address": upstream.address},
                            privacy=PrivacyConfig(end_user="account"))
        async with session(lane, fields={"OpenAI-Safety-Identifier": "me"}) as socket:
            await told(socket, "session.created")
        name = upstream.handshakes[0][1]["openai-safety-identifier"]
        assert len(name) == 26 and name not in str(await record_of(lane))


async def test_a_client_is_told_what_was_dropped_of_its_handshake(opened: Opened) -> None:
    async with realtime_provider() as upstream:
        lane = await opened(provider_changes={"address": upstream.address})
        async with session(lane, fields={"OpenAI-Beta": "realtime=v1,secret=v2"}) as socket:
            await told(socket, "session.created")
            assert socket.response is not None
            assert socket.response.headers["relay-dropped"] == "openai-beta"
        assert "secret" not in repr(upstream.handshakes)
        await lane.settled(1)


@pytest.mark.parametrize(("target", "fields", "status", "code"), [
    (TARGET, {"key": "sk-relayd-nonsense"}, 401, "invalid_api_key"),
    ("/v1/realtime", {}, 400, "missing_model"),
    ("/v1/realtime?model=nobody-knows", {}, 404, "model_not_found"),
    (TARGET, {"Sec_WebSocket_Version": "7"}, 426, "upgrade_required"),
    (TARGET, {"Upgrade": "h2c"}, 426, "upgrade_required"),
    (TARGET, {"method": "POST"}, 426, "upgrade_required"),
    (TARGET, {"Sec_WebSocket_Key": "x"}, 400, "upgrade_refused"),
    (TARGET, {"Content_Length": "3"}, 400, "upgrade_refused"),
])
async def test_what_is_refused_before_the_provider_is_asked(
    opened: Opened, target: str, fields: dict[str, str], status: int, code: str
) -> None:
    lane = await opened(patterns=(MODEL,))
    found, error = await refusal(lane, target, **fields)
    assert (found, error["code"]) == (status, code)
    assert lane.upstream.opened == 0
    if status != 401:
        record = await record_of(lane)
        assert (record.outcome, record.status, record.attempts) == ("refused", status, 0)


async def test_a_providers_refusal_is_told_in_the_shape_of_the_api(opened: Opened) -> None:
    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        status, body = answers.pop(0)
        writer.write(b"HTTP/1.1 %d No\r\nContent-Type: application/json\r\nX-Secret: org\r\n"
                     b"Content-Length: %d\r\n\r\n%b" % (status, len(body), body))
        await reader.read()

    harmless = b'{"error":{"message":"No such model.","code":"model_not_found"}}'
    naming = b'{"error":{"message":"organization org-abcdefgh12345678","code":"x"}}'
    answers = [(403, harmless), (401, naming), (429, naming), (500, b"<html>")]
    async with stepped(play) as address:
        lane = await opened(provider_changes={"address": address})
        status, error = await refusal(lane)
        assert (status, error["message"]) == (403, "No such model.")
        for expected in (401, 429, 500):
            status, error = await refusal(lane)
            assert status == expected and "org" not in error["message"]
        records = await lane.settled(4)
        assert [r.error for r in records] == [
            "provider_forbidden", "provider_auth", "provider_rate_limited", "provider_failed"]
        assert {(r.outcome, r.attempts) for r in records} == {("provider_error", 1)}
        assert lane.app._plane is not None and lane.app._plane.policy.pools["openai"].busy == 0


UNSOUND = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
    b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 429 No\r\nContent-Length: 0\r\n\r\n",
    b"220 mail ready\r\n\r\n",
    b"",
]


REFUSED = [b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status
           for status in (401, 402, 403, 404, 408, 500)]
"""The next deployment may have a better credential, or the model, or work."""


@asynccontextmanager
async def a_bad_one_first(opened: Opened, said: bytes) -> AsyncIterator[Lane]:
    """A relay whose first deployment answers a handshake with `said`, and the next one well."""
    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        await writer.drain()

    async with stepped(play) as address, realtime_provider() as upstream:
        yield await opened(
            providers={"bad": provider("openai", 1, name="bad", address=address),
                       "good": provider("openai", 1, name="good", address=upstream.address)},
            routes=(Route("*", (Deployment("bad"), Deployment("good", priority=2))),))


@pytest.mark.parametrize("said", UNSOUND + REFUSED)
async def test_the_next_deployment_is_asked(opened: Opened, said: bytes) -> None:
    async with a_bad_one_first(opened, said) as lane:
        async with session(lane) as socket:
            await told(socket, "session.created")
        record = await record_of(lane)
        assert (record.provider, record.attempts, record.outcome) == ("good", 2, "completed")


@pytest.mark.parametrize(("said", "result"), [
    (b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", "status_5xx"),
    (b"220 mail ready\r\n\r\n", "upstream_protocol"), (b"", "upstream_reset")])
async def test_each_attempt_is_counted_and_the_journal_knows_of_it_before(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, said: bytes, result: str
) -> None:
    async with a_bad_one_first(opened, said) as lane:
        tried: list[tuple[str, ...]] = []
        marks: list[Mark] = []
        monkeypatch.setattr(Metrics, "attempt", lambda metrics, *told: tried.append(told))
        monkeypatch.setattr(Meter, "mark", lambda meter, mark: marks.append(mark))
        async with session(lane) as socket:
            await told(socket, "session.created")
        await record_of(lane)
        assert tried == [("bad", result), ("good", "head")]
        # a call that takes long is marked now and then as well
        assert ("good", 2) in [(mark.provider, mark.attempts) for mark in marks]


async def test_what_the_handshake_is_at_fault_for_is_no_better_elsewhere(opened: Opened) -> None:
    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 400 No\r\nContent-Length: 12\r\n\r\n{\"error\":{}}")
        await reader.read()

    async with stepped(play) as address, realtime_provider() as upstream:
        lane = await opened(
            providers={"first": provider("openai", 1, name="first", address=address),
                       "other": provider("openai", 1, name="other", address=upstream.address)},
            routes=(Route("*", (Deployment("first"), Deployment("other", priority=2))),))
        assert (await refusal(lane))[0] == 400
        record = await record_of(lane)
        assert (record.provider, record.attempts) == ("first", 1) and not upstream.handshakes


@pytest.mark.parametrize("proxy", [Proxy("http", "::1", 1), None], ids=["proxy", "provider"])
async def test_the_next_one_is_asked_too_where_nothing_is_reached(
    opened: Opened, proxy: Proxy | None
) -> None:
    async with realtime_provider() as upstream:
        lane = await opened(
            providers={"bad": provider("openai", 1, name="bad", proxy=proxy),
                       "good": provider("openai", 1, name="good", address=upstream.address)},
            routes=(Route("*", (Deployment("bad"), Deployment("good", priority=2))),))
        async with session(lane) as socket:
            await told(socket, "session.created")
        record = await record_of(lane)
        assert (record.provider, record.outcome) == ("good", "completed")


@pytest.mark.parametrize("said", UNSOUND[:3] + UNSOUND[5:])
async def test_no_tunnel_before_a_sound_101(opened: Opened, said: bytes) -> None:
    got = asyncio.get_running_loop().create_future()

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said + b"\x81\x05early")
        await writer.drain()
        if not said:
            writer.close()
        got.set_result(await reader.read())

    async with stepped(play) as address:
        lane = await opened(provider_changes={"address": address})
        raw = request_bytes(TARGET, lane.key, method="GET", fields=HANDSHAKE)
        async with RawClient(lane.address) as client:
            await client.send(raw + b"\x82\x85\x00\x00\x00\x00hello")
            reply = await client.final_reply(b"GET")
        assert reply.status == 502 and b"early" not in reply.body
        record = await record_of(lane)
        assert record.outcome == "provider_error"
        assert record.error == ("upstream_protocol" if said else "upstream_reset")
        assert await got == b""


async def test_a_provider_that_does_not_answer_the_handshake(opened: Opened) -> None:
    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with stepped(play) as address:
        lane = await opened(provider_changes={"address": address, **BRISK})
        assert (await refusal(lane))[0] == 504
        record = await record_of(lane)
        assert record.error == "upstream_timeout"
        assert record.duration_ms is not None and record.duration_ms >= 1000  # its first_byte


async def test_a_client_that_leaves_before_the_101(opened: Opened) -> None:
    ended = asyncio.Event()

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        ended.set()

    async with stepped(play) as address:
        lane = await opened(provider_changes={"address": address})
        async with RawClient(lane.address) as client:
            await client.send(request_bytes(TARGET, lane.key, method="GET", fields=HANDSHAKE))
            await asyncio.sleep(0.1)
            vanish(client)
            await asyncio.wait_for(ended.wait(), 2)
        record = await record_of(lane)
        assert (record.outcome, record.status, record.attempts) == ("client_left", 0, 1)


async def test_a_client_that_ends_its_side_before_the_101(opened: Opened) -> None:
    """Half a WebSocket connection is of no use: nobody would hear that the session began."""
    asked, go = asyncio.Event(), asyncio.Event()

    async def slowly(connection: ServerConnection, request: object) -> None:
        asked.set()
        await go.wait()

    async with realtime_provider(process_request=slowly) as upstream:
        lane = await opened(provider_changes={"address": upstream.address})
        async with RawClient(lane.address) as client:
            await client.send(request_bytes(TARGET, lane.key, method="GET", fields=HANDSHAKE))
            await asyncio.wait_for(asked.wait(), 5)
            [connection] = lane.app._plane.connections  # type: ignore[union-attr]
            client.writer.write_eof()
            async with asyncio.timeout(5):
                while not connection.half_closed:
                    await asyncio.sleep(0.01)
                go.set()
                assert await client.reader.read() == b""
        record = await record_of(lane)
        assert (record.outcome, record.status, record.attempts) == ("client_left", 0, 1)
        async with asyncio.timeout(5):
            while upstream.open_now:
                await asyncio.sleep(0.01)


async def test_what_comes_before_the_101_is_held_in_order(opened: Opened) -> None:
    go = asyncio.Event()

    async def slowly(connection: ServerConnection, request: object) -> None:
        await go.wait()

    async with realtime_provider(process_request=slowly) as upstream:
        lane = await opened(provider_changes={"address": upstream.address})
        peer = WSConnection(ConnectionType.CLIENT)
        hello = peer.send(Request("relay.test", TARGET, extra_headers=[
            (b"Authorization", b"Bearer " + lane.key.encode())]))
        text = b'{"type":"input_audio_buffer.clear"}'
        early = b"".join(
            bytes([0x81, 0x80 | len(text)]) + bytes(4) + text for _ in range(4000))
        async with RawClient(lane.address) as client:
            await client.send(hello + early[:500])
            sending = asyncio.create_task(client.send(early[500:]))
            await asyncio.sleep(0.1)
            [connection] = lane.app._plane.connections  # type: ignore[union-attr]
            assert len(connection._buffer) < 400_000 and upstream.heard == []
            go.set()
            await sending
            while len(upstream.heard) < 4000:
                await asyncio.sleep(0.02)
        assert set(upstream.heard) == {text.decode()}


async def test_three_independent_clients(opened: Opened) -> None:
    async with realtime_provider() as upstream:
        lane = await opened(provider_changes={"address": upstream.address})

        def blocking() -> str:
            host, port = lane.address
            with connect_blocking(f"ws://{host}:{port}{TARGET}", proxy=None, additional_headers={
                    "Authorization": "Bearer " + lane.key}) as socket:
                socket.recv()
                socket.send(CREATE)
                return "".join(json.loads(socket.recv()).get("delta", "") for _ in range(4))

        assert await asyncio.to_thread(blocking) == "Hello there"
        assert await by_wsproto(lane) == "Hello there"
        async with RawClient(lane.address) as client:
            await upgraded(client, lane.key)
            text = CREATE.encode()
            await client.send(bytes([0x01, 0x80 | 4]) + bytes(4) + text[:4] + b"\x89\x80\0\0\0\0"
                              + bytes([0x80, 0x80 | len(text) - 4]) + bytes(4) + text[4:])
            await client.send(b"\x88\x82\0\0\0\0\x03\xe8", "bytes")
            said = await rest(client)
        assert said.endswith(b"\x88\x02\x03\xe8") and b"\x8a\x00" in said
        await lane.settled(3)
        assert upstream.heard == [CREATE] * 3
        assert upstream.closes == [(1000, "")] * 3


async def by_wsproto(lane: Lane) -> str:
    peer = WSConnection(ConnectionType.CLIENT)
    said = ""
    async with RawClient(lane.address) as client:
        await client.send(peer.send(Request("relay.test", TARGET, extra_headers=[
            (b"Authorization", b"Bearer " + lane.key.encode())])))
        while True:
            data = await asyncio.wait_for(client.reader.read(65536), 5)
            peer.receive_data(data or None)
            for found in peer.events():
                if isinstance(found, AcceptConnection):
                    await client.send(peer.send(TextMessage(CREATE)))
                elif isinstance(found, CloseConnection):
                    assert found.code == 1000
                    return said
                elif isinstance(found, TextMessage):
                    seen = json.loads(found.data)
                    said += seen.get("delta", "")
                    if seen["type"] == "response.done":
                        await client.send(peer.send(CloseConnection(1000)))


async def test_what_identifies_is_dropped_and_what_is_refused_is_told(opened: Opened) -> None:
    async with realtime_provider() as upstream:
        lane = await opened(provider_changes={"address": upstream.address})
        async with session(lane) as socket:
            await socket.send(json.dumps({"session": {
                "metadata": {"who": "canary"}, "user": "canary", "tracing": "auto",
                "voice": "marin"}, "type": "session.update"}, indent=2))
            await socket.send('{"type":"session.update","event_id":"mine",'
                              '"session":{"prompt":{"id":"pmpt_1"}}}')
            error = await told(socket, "error")
            assert error["error"]["event_id"] == "mine"
            assert error["error"]["param"] == "session.prompt"
            await socket.send("not JSON")
            assert (await told(socket, "error"))["error"]["code"] == "invalid_json"
            await socket.send(CREATE)
            await told(socket, "response.done")
        await lane.settled(1)
        assert upstream.heard == ['{"type":"session.update","session":{"voice":"marin"}}', CREATE]


@pytest.mark.parametrize("code", [1000, 1001, 1011, 3000, 4999])
async def test_a_client_s_close_tells_nothing_of_it(opened: Opened, code: int) -> None:
    async with realtime_provider() as upstream:
        lane = await opened(provider_changes={"address": upstream.address})
        async with session(lane) as socket:
            await told(socket, "session.created")
            await socket.close(code, "mine")
            assert socket.close_code == code
        assert (await record_of(lane)).outcome == "completed"
        while not upstream.closes:
            await asyncio.sleep(0.01)
        assert upstream.closes == [(1000, "")]


@pytest.mark.parametrize("encoded", [False, True])
async def test_what_tells_of_the_operator_does_not_pass(opened: Opened, encoded: bool) -> None:
    """Nor in binary messages, which this API has not, but libraries of clients read."""
    async def play(made: Provider, socket: ServerConnection) -> None:
        for said in (
                event("rate_limits.updated", rate_limits=[{"limit": 5000}]),
                event("error", error={
                    "type": "x", "code": "rate_limit_exceeded", "event_id": None,
                    "message": "in organization org-a1b2c3d4e5"})):
            await socket.send(said.encode() if encoded else said)
        await socket.close(4000, "org-a1b2c3d4e5f6 is out of quota")

    async with realtime_provider(play) as upstream:
        lane = await opened(provider_changes={"address": upstream.address})
        async with session(lane) as socket:
            heard = []
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    message = await socket.recv()
                    assert isinstance(message, bytes) is encoded
                    heard.append(json.loads(message))
        assert [each["type"] for each in heard] == ["error"]
        assert heard[0]["error"]["code"] == "rate_limit_exceeded"
        assert "org-" not in str(heard)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4000, "")
        record = await record_of(lane)
        assert (record.outcome, record.error) == ("provider_error", "provider_rate_limited")


async def test_usage_in_binary_messages_is_recorded(opened: Opened) -> None:
    async def play(made: Provider, socket: ServerConnection) -> None:
        for each in answer("resp_1", "Hi"):
            await socket.send(each.encode())
        await socket.send(b"\x00\x01\xff")
        await socket.close()

    async with realtime_provider(play) as upstream:
        lane = await opened(provider_changes={"address": upstream.address})
        async with session(lane) as socket:
            heard = [message async for message in socket]
        assert heard == [*(each.encode() for each in answer("resp_1", "Hi")), b"\x00\x01\xff"]
        record = await record_of(lane)
        assert (record.outcome, record.usage_source) == ("completed", "reported")
        assert record.output_tokens and record.first_byte_ms is not None


@pytest.mark.parametrize(("code", "reason", "outcome"), [
    (1000, "bye", "completed"), (1001, "", "completed"), (1011, "failed", "provider_error"),
    (3000, "invalid_request_error.invalid_model", "provider_error"),
])
async def test_a_providers_close_passes(
    opened: Opened, code: int, reason: str, outcome: str
) -> None:
    async def play(made: Provider, socket: ServerConnection) -> None:
        for each in answer("resp_1", "Hi"):
            await socket.send(each)
        await socket.close(code, reason)

    async with realtime_provider(play) as upstream:
        lane = await opened(provider_changes={"address": upstream.address})
        async with session(lane) as socket:
            await told(socket, "response.done")
            await socket.wait_closed()
            assert (socket.close_code, socket.close_reason) == (code, reason)
        record = await record_of(lane)
        assert (record.outcome, record.output_tokens) == (outcome, 5)


async def test_a_client_that_closes_in_the_middle_of_an_answer_has_left(opened: Opened) -> None:
    """What it had of that answer counts, and its prompt as that of the answer before; both cost
    nothing."""
    async def play(made: Provider, socket: ServerConnection) -> None:
        for each in answer("resp_1", "Hi") + answer("resp_2", "One", "two")[:-1]:
            await socket.send(each)

    async with realtime_provider(play) as upstream:
        lane = await opened(provider_changes={"address": upstream.address})
        async with session(lane) as socket:
            await told(socket, "response.done")
            await told(socket, "response.output_text.delta")
            await socket.close(3333, "why is the client's own")
        record = await record_of(lane)
        assert (record.outcome, record.error, record.status) == ("client_left", "client_left", 101)
        assert (record.usage_source, record.input_tokens) == ("estimated", 20)
        assert record.output_tokens in (6, 7) and record.counted_output_tokens is None
        while not upstream.closes:
            await asyncio.sleep(0.01)
        assert upstream.closes == [(1000, "")]


async def test_a_client_that_vanishes_ends_the_providers_session_at_once(opened: Opened) -> None:
    async with realtime_provider() as upstream:
        lane = await opened(provider_changes={"address": upstream.address})
        async with RawClient(lane.address) as client:
            await upgraded(client, lane.key)
            await asyncio.sleep(0.05)
            vanish(client)
            record = await record_of(lane)
        assert (record.outcome, record.status) == ("client_left", 101)
        async with asyncio.timeout(1):
            while upstream.open_now:
                await asyncio.sleep(0.01)
        assert upstream.closes == [(1001, "")]
        assert lane.app._plane is not None and lane.app._plane.policy.pools["openai"].busy == 0


@pytest.mark.parametrize("how", ["cut", "garbage"])
async def test_a_provider_that_breaks_off(opened: Opened, how: str) -> None:
    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept(reader, writer)
        text = event("session.created").encode()
        writer.write(bytes([0x81, len(text)]) + text)
        if how == "garbage":
            writer.write(b"\xff" * 20)
            await reader.read()

    async with stepped(play) as address:
        lane = await opened(provider_changes={"address": address})
        async with session(lane) as socket:
            await told(socket, "session.created")
            code = {"cut": "upstream_truncated", "garbage": "upstream_protocol"}[how]
            assert (await told(socket, "error"))["error"]["code"] == code
            await socket.wait_closed()
            assert (socket.close_code, socket.close_reason) == (1011, code)
        record = await record_of(lane)
        assert (record.outcome, record.error) == ("provider_truncated", code)


async def test_what_was_reported_holds_where_a_provider_breaks_off_behind_it(
    opened: Opened
) -> None:
    async def play(made: Provider, socket: ServerConnection) -> None:
        async for _ in socket:
            for each in answer("resp_1", *[" word"] * 40):
                await socket.send(each)
            socket.transport.abort()

    async with realtime_provider(play) as upstream:
        lane = await opened(provider_changes={"address": upstream.address})
        async with session(lane) as socket:
            await socket.send(CREATE)
            await told(socket, "response.done")
            await told(socket, "error")
        record = await record_of(lane)
        assert (record.outcome, record.usage_source) == ("provider_truncated", "reported")
        assert record.output_tokens == 5 < (record.counted_output_tokens or 0)


async def suspend(lane: Lane) -> None:
    """Suspends the lane's account, as the shell of a running daemon does."""
    db = await open_database(lane.store)
    try:
        await standing.move(db, "someone@example.com", "suspend", 1)
    finally:
        await db.close()
    await lane.app.refresh()


async def test_a_suspended_account_ends_its_sessions(opened: Opened) -> None:
    async with realtime_provider() as upstream:
        lane = await opened(provider_changes={"address": upstream.address})
        async with session(lane) as socket:
            await told(socket, "session.created")
            await suspend(lane)
            await told(socket, "error")
            await socket.wait_closed()
            assert (socket.close_code, socket.close_reason) == (1008, "account_suspended")
        record = await record_of(lane)
        assert (record.outcome, record.error) == ("completed", "account_suspended")


@pytest.mark.parametrize("how", ["expired_key", "invalid_key"])
async def test_a_key_that_expires_or_is_revoked_ends_its_sessions(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Also where nothing is said any more: a session may have hours to go."""
    async with realtime_provider() as upstream:
        lane = await opened(provider_changes={"address": upstream.address})
        plane, db = lane.app._plane, lane.app.db
        assert plane is not None
        [mine] = await key.listing(db)
        made = await key.create(
            db, mine.account, key.KeyWish("brief", expires_at_ms=unix_ms() + HOUR_MS), unix_ms())
        await lane.app.refresh()
        async with session(lane, key=made.text) as socket, session(lane) as other:
            await told(socket, "session.created")
            if how == "invalid_key":
                await key.revoke(db, made.key.id, unix_ms())
                await lane.app.refresh()
            else:
                monkeypatch.setattr(plane, "unix_ms", lambda: unix_ms() + HOUR_MS)
            assert (await told(socket, "error"))["error"]["type"] == "authentication_error"
            await socket.wait_closed()
            assert (socket.close_code, socket.close_reason) == (1008, how)
            await other.send(CREATE)
            await told(other, "response.done")
        found = {record.key: (record.outcome, record.error) for record in await lane.settled(2)}
        assert found == {made.key.id: ("completed", how), mine.id: ("completed", None)}


async def test_a_drain_asks_no_further_deployment(opened: Opened) -> None:
    asked = asyncio.Event()

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()

    async with stepped(play) as address, realtime_provider() as upstream:
        lane = await opened(
            providers={"first": provider("openai", 1, name="first", address=address),
                       "other": provider("openai", 1, name="other", address=upstream.address)},
            routes=(Route("*", (Deployment("first"), Deployment("other", priority=2))),))
        refused = asyncio.create_task(refusal(lane))
        await asked.wait()
        await lane.app.stop(drain_seconds=0)
        assert (await refused)[0] == 503
        record = await record_of(lane)
        assert (record.error, record.attempts) == ("draining", 1) and not upstream.handshakes


async def test_a_drain_waits_then_closes(opened: Opened) -> None:
    async with realtime_provider() as upstream:
        lane = await opened(provider_changes={"address": upstream.address})
        async with session(lane) as socket:
            await told(socket, "session.created")
            stopping = asyncio.create_task(lane.app.stop(drain_seconds=0.4))
            await asyncio.sleep(0.1)
            await socket.send(CREATE)
            await told(socket, "response.done")
            await told(socket, "error")
            await socket.wait_closed()
            assert (socket.close_code, socket.close_reason) == (1012, "draining")
            await stopping
        record = await record_of(lane)
        assert (record.outcome, record.output_tokens) == ("interrupted", 5)


async def test_a_session_that_ends_in_time_lets_the_drain_end(opened: Opened) -> None:
    async with realtime_provider() as upstream:
        lane = await opened(provider_changes={"address": upstream.address})
        async with session(lane) as socket:
            await told(socket, "session.created")
            stopping = asyncio.create_task(lane.app.stop(drain_seconds=30))
            await asyncio.sleep(0.1)
        await asyncio.wait_for(stopping, 5)
        assert (await record_of(lane)).outcome == "completed"


async def test_limits_hold_for_sessions(opened: Opened) -> None:
    async with realtime_provider() as upstream:
        lane = await opened(provider_changes={"address": upstream.address})
        limits = replace(lane.app.config.limits, concurrent=1)
        lane.app._plane.adopt(  # type: ignore[union-attr]
            replace(lane.app.config, limits=limits))
        async with session(lane) as socket:
            await told(socket, "session.created")
            with pytest.raises(InvalidStatus) as refused:
                await session(lane)
            assert refused.value.response.status_code == 429
            assert json.loads(refused.value.response.body)["error"]["code"]
        async with session(lane) as socket:
            await told(socket, "session.created")
        await lane.settled(3)


async def test_a_session_beyond_the_calls_that_the_relay_takes_is_refused(opened: Opened) -> None:
    async with realtime_provider() as upstream:
        lane = await opened(provider_changes={"address": upstream.address},
                            server={"calls_max": 1})
        async with session(lane) as socket:
            await told(socket, "session.created")
            status, error = await refusal(lane)
            assert (status, error["code"]) == (503, "overloaded")
        assert len(upstream.handshakes) == 1
        assert sorted(r.outcome for r in await lane.settled(2)) == ["completed", "refused"]


async def test_a_session_uses_up_its_tokens_as_it_goes(opened: Opened) -> None:
    async with realtime_provider() as upstream:
        lane = await opened(
            provider_changes={"address": upstream.address},
            limits=LimitsConfig(tokens_per_minute=25, requests_per_minute=2))
        async with session(lane) as socket:
            for _ in range(2):
                await socket.send(CREATE)
                await told(socket, "response.done")
            await socket.send(CREATE)
            error = (await told(socket, "error"))["error"]
            assert error["code"] == "rate_limit_exceeded" and "25 tokens" in error["message"]
            await socket.send('{"type":"input_audio_buffer.clear"}')
            with pytest.raises(InvalidStatus) as refused:
                await session(lane)
            assert refused.value.response.status_code == 429
        assert [r.output_tokens for r in await lane.settled(2)] == [10, 0]
        assert upstream.heard == [CREATE, CREATE, '{"type":"input_audio_buffer.clear"}']


async def test_limits_hold_where_the_provider_answers_what_it_hears_by_itself(
    opened: Opened
) -> None:
    async def play(made: Provider, socket: ServerConnection) -> None:
        async for message in socket:
            made.heard.append(message)
            for each in answer("resp_1", "I", "see"):
                await socket.send(each)

    sound = '{"type":"input_audio_buffer.append","audio":"AAAA"}'
    async with realtime_provider(play) as upstream:
        lane = await opened(
            provider_changes={"address": upstream.address},
            limits=LimitsConfig(tokens_per_minute=25))
        async with session(lane) as socket:
            for _ in range(2):
                await socket.send(sound)
                await told(socket, "response.done")
            for _ in range(2):
                await socket.send(sound)
                error = (await told(socket, "error"))["error"]
                assert error["code"] == "rate_limit_exceeded"
        assert (await record_of(lane)).output_tokens == 10
        assert upstream.heard == [sound, sound]


async def test_a_key_that_is_revoked_gets_no_further_response(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relayd.relay.tunnel.TICK_SECONDS_MAX", 60.0)
    async with realtime_provider() as upstream:
        lane = await opened(provider_changes={"address": upstream.address})
        async with session(lane) as socket:
            await socket.send(CREATE)
            await told(socket, "response.done")
            await suspend(lane)
            await socket.send(CREATE)
            assert (await told(socket, "error"))["error"]["code"] == "account_suspended"
        assert upstream.heard == [CREATE]


async def test_what_is_heard_after_a_refusal_is_refused_until_there_is_room(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider may answer by itself what it hears: also before any response was paid for."""
    monkeypatch.setattr("relayd.relay.tunnel.TICK_SECONDS_MAX", 60.0)
    sound = '{"type":"input_audio_buffer.append","audio":"AAAA"}'
    async with realtime_provider() as upstream:
        lane = await opened(provider_changes={"address": upstream.address})
        async with session(lane) as socket:
            await told(socket, "session.created")
            await suspend(lane)
            for asked in (CREATE, sound):
                await socket.send(asked)
                assert (await told(socket, "error"))["error"]["code"] == "account_suspended"
        assert upstream.heard == []


async def test_sound_has_no_count_of_the_relays_own(opened: Opened) -> None:
    async def play(made: Provider, socket: ServerConnection) -> None:
        first, *others = answer("resp_1", "Hi")
        await socket.send(first)
        await socket.send(event("response.output_audio.delta", delta="AAAA"))
        for each in others:
            await socket.send(each)

    async with realtime_provider(play) as upstream:
        lane = await opened(provider_changes={"address": upstream.address})
        async with session(lane) as socket:
            await told(socket, "response.done")
        record = await record_of(lane)
        assert record.counted_output_tokens is None and record.output_tokens == 5


async def test_nothing_of_a_session_is_logged_or_kept(opened: Opened) -> None:
    async def play(made: Provider, socket: ServerConnection) -> None:
        await obliging(made, socket)

    async with realtime_provider(play) as upstream:
        lane = await opened(provider_changes={"address": upstream.address})
        canary = "canary-7f3a"
        async with session(lane, query=f"&who={canary}", fields={"X-Who": canary}) as socket:
            await socket.send(json.dumps({"type": "session.update", "session": {
                "instructions": canary, "prompt": canary}}))
            await socket.send(canary)
            await socket.send(json.dumps({"type": canary}))
            await socket.send(json.dumps({"type": "conversation.item.create", "item": {
                "type": "message", "role": "user",
                "content": [{"type": "input_text", "text": canary}]}}))
            await socket.send(CREATE)
            await told(socket, "response.done")
        await lane.settled(1)
        text = lane.log.getvalue() + repr(lane.app._plane) + str(await lane.records())
        assert canary not in text and lane.key not in text
        for file in lane.store.rglob("*"):
            assert not file.is_file() or canary.encode() not in file.read_bytes()
        assert canary in str(upstream.heard)


@pytest.mark.parametrize("name", ["*", MODEL])
async def test_a_session_spends_the_balance_as_it_goes(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, name: str,
) -> None:
    """Also where the deployment has a name of its own, and the book the one that is asked for."""
    monkeypatch.setattr("relayd.relay.wallet.SESSION_TOKENS", 1)
    price = Price(name, unit_prices({"output": 1_000_000}))
    routes = (Route(MODEL, (Deployment("openai", "own-name"),)),) if name == MODEL else None
    async with realtime_provider() as upstream:
        lane = await opened(
            provider_changes={"address": upstream.address}, prices=PriceBook([price]),
            billing=BillingConfig(prepaid=True), **({"routes": routes} if routes else {}))
        with pytest.raises(InvalidStatus) as refused:
            await session(lane)
        assert refused.value.response.status_code == 402
        plane = lane.app._plane
        assert plane is not None
        [grant] = plane.view.current.keys.values()
        plane.wallets.install([(grant.account, "USD", 7, 0)], frozenset())
        async with session(lane) as socket:
            for _ in range(2):
                await socket.send(CREATE)
                await told(socket, "response.done")
            await socket.send(CREATE)
            assert (await told(socket, "error"))["error"]["code"] == "insufficient_quota"
        found = await lane.settled(2)
        assert [r.amount_nano for r in found] == [0, 10]


async def test_responses_that_are_asked_for_at_once_are_paid_from_one_balance(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of them is reported before all have been sent: any number passed."""
    monkeypatch.setattr("relayd.relay.wallet.SESSION_TOKENS", 1)

    async def silent(provider: Provider, socket: ServerConnection) -> None:
        async for message in socket:
            provider.heard.append(str(message))

    async with realtime_provider(silent) as upstream:
        lane = await opened(
            provider_changes={"address": upstream.address},
            prices=PriceBook([Price("*", unit_prices({"output": 1_000_000}))]),
            billing=BillingConfig(prepaid=True))
        plane = lane.app._plane
        assert plane is not None
        [grant] = plane.view.current.keys.values()
        plane.wallets.install([(grant.account, "USD", 7, 0)], frozenset())
        async with session(lane) as socket:
            for _ in range(20):
                await socket.send(CREATE)
            for _ in range(13):
                assert (await told(socket, "error"))["error"]["code"] == "insufficient_quota"
            async with asyncio.timeout(5):
                while len(upstream.heard) < 7:
                    await asyncio.sleep(0.01)
        await lane.settled(1)
        assert upstream.heard == [CREATE] * 7


async def test_a_deployment_that_fails_handshakes_is_no_healthy_one(opened: Opened) -> None:
    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 No\r\nContent-Length: 12\r\n\r\n{\"error\":{}}")
        await reader.read()

    async with stepped(play) as address:
        lane = await opened(provider_changes={"address": address})
        plane = lane.app._plane
        assert plane is not None
        for _ in range(10):
            assert (await refusal(lane))[0] == 503
            if not states(plane)["openai", "healthy"]:
                break
        assert states(plane)["openai", "healthy"] == 0


async def test_a_handshake_that_is_accepted_says_that_its_deployment_works(
    opened: Opened
) -> None:
    async with realtime_provider() as upstream:
        lane = await opened(provider_changes={"address": upstream.address})
        plane = lane.app._plane
        assert plane is not None
        for place in plane.policy.plans["openai", "*"].places:
            place.health.circuit.failed(plane.now(), False)
        async with session(lane) as socket:
            await told(socket, "session.created")
        record = await record_of(lane)
        assert {place.provider.name: place.health.circuit.streak
                for place in plane.policy.plans["openai", "*"].places}[record.provider or ""] == 0
