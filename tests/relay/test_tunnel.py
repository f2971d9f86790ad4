"""The tunnel's bounds: frames, flow, silence, floods, TLS and proxies on the way."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme
from websockets.asyncio.server import ServerConnection

from relayd.core.provider import Proxy, Timeouts
from relayd.core.record import CallRecord
from relayd.ops.config import TlsFiles
from relayd.relay import ends, realtime, tunnel
from relayd.wire.websocket import frame
from tests.fakes.daemon import Lane
from tests.fakes.rawclient import RawClient
from tests.fakes.sockets import (
    HANDSHAKE, TARGET, Provider, accept, answer, event, realtime_provider, rest, session, told,
    upgraded,
)
from tests.fakes.stepped import stepped, vanish
from tests.relay.conftest import Opened

CREATE = '{"type":"response.create"}'
KEY = b"\x00\x00\x00\x00"


def text(payload: str | bytes, first: int = 0x81) -> bytes:
    """A client's frame, masked with zeros: its payload can be read."""
    data = payload.encode() if isinstance(payload, str) else payload
    head = bytes([first, 0x80 | len(data)]) if len(data) < 126 else (
        bytes([first, 0xfe]) + len(data).to_bytes(2, "big"))
    return head + KEY + data


@pytest.fixture(autouse=True)
def short_farewells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunnel, "CLOSE_SECONDS", 0.3)


async def record_of(lane: Lane) -> CallRecord:
    [record] = await lane.settled(1)
    return record


async def until(true: Any) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.01)


async def test_the_providers_frames_pass_byte_for_byte(opened: Opened) -> None:
    said = event("session.created", session={"id": "s"}).encode()
    big = event("response.output_audio.delta", delta="A" * 70_000).encode()
    frames = [
        bytes([0x01, 10]) + said[:10], bytes([0x80, len(said) - 10]) + said[10:],
        bytes([0x81, 127]) + len(big).to_bytes(8, "big") + big,
        bytes([0x01, 0]), bytes([0x00, 0]), bytes([0x80, 0]),
        bytes([0x82, 3]) + b"\x00\x01\x02",
    ]
    ponged = asyncio.get_running_loop().create_future()

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept(reader, writer)
        writer.write(frames[0] + b"\x89\x02hi" + b"".join(frames[1:]))
        head = await reader.readexactly(6)
        body = await reader.readexactly(head[1] & 0x7f)
        ponged.set_result((head[0], bytes(b ^ head[2 + n % 4] for n, b in enumerate(body))))
        writer.write(b"\x88\x02\x03\xe8")
        await reader.read()

    async with stepped(play) as address:
        lane = await opened(provider_changes={"address": address})
        async with RawClient(lane.address) as client:
            await upgraded(client, lane.key)
            wanted = b"".join(frames) + b"\x88\x02\x03\xe8"
            async with asyncio.timeout(5):
                assert await client.reader.readexactly(len(wanted)) == wanted
            await client.send(text(b"\x03\xe8", 0x88))
            assert await rest(client) == b""
    assert await ponged == (0x8a, b"hi")


@pytest.mark.parametrize("pace", ["once", "bytes", "segments-7"])
async def test_any_pace_and_any_fragments(opened: Opened, pace: str) -> None:
    async with realtime_provider() as upstream:
        lane = await opened(provider_changes={"address": upstream.address})
        async with RawClient(lane.address) as client:
            await upgraded(client, lane.key)
            raw = b"".join([
                text(CREATE[:5], 0x01), text(b"ping", 0x89), text(CREATE[5:9], 0x00),
                text(b"unasked", 0x8a), text(CREATE[9:], 0x80)])
            await client.send(raw, pace)
            await until(lambda: upstream.heard)
            await client.send(text(b"\x03\xe8", 0x88))
            said = await rest(client)
        assert b"\x8a\x04ping" in said and said.endswith(b"\x88\x02\x03\xe8")
        assert upstream.heard == [CREATE]


@pytest.mark.parametrize(("raw", "code", "error"), [
    (frame(1, b"not masked"), 1002, "websocket_protocol"),
    (text("{}", 0xc1), 1002, "websocket_protocol"),
    (text("{}", 0x80), 1002, "websocket_protocol"),
    (text(b"\x00\x01", 0x82), 1003, "websocket_protocol"),
    (text(b"\x00", 0x88), 1002, "websocket_protocol"),
    (b"\x81\xff" + (1 << 40).to_bytes(8, "big") + KEY, 1009, "body_too_large"),
    (text("", 0x01) + text("", 0x00) * 5000, 1008, "websocket_protocol"),
])
async def test_a_client_that_breaks_the_protocol(
    opened: Opened, raw: bytes, code: int, error: str
) -> None:
    async with realtime_provider() as upstream:
        lane = await opened(provider_changes={"address": upstream.address})
        async with RawClient(lane.address) as client:
            await upgraded(client, lane.key)
            await client.send(raw + text("behind"))
            said = await rest(client)
        reason = error.encode()
        assert said.endswith(b"\x88" + bytes([2 + len(reason)]) + code.to_bytes(2, "big") + reason)
        record = await record_of(lane)
        assert (record.outcome, record.error, record.status) == ("client_left", error, 101)
        await until(lambda: upstream.closes)
        assert upstream.closes == [(1001, "")] and upstream.heard == []


@pytest.mark.parametrize("kind", [0x89, 0x8a])
async def test_a_flood_of_pings_ends_the_session(opened: Opened, kind: int) -> None:
    async with realtime_provider() as upstream:
        lane = await opened(provider_changes={"address": upstream.address})
        async with RawClient(lane.address) as client:
            await upgraded(client, lane.key)
            await client.send(text("", kind) * ends.CONTROLS_MAX)
            await asyncio.sleep(0.1)
            await client.send(text(CREATE))
            await until(lambda: upstream.heard)
            await client.send(text("", kind))
            said = await rest(client)
        assert said.endswith(b"\x03\xf0websocket_protocol")
        assert (await record_of(lane)).error == "websocket_protocol"


async def test_a_provider_that_floods_with_pings(opened: Opened) -> None:
    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept(reader, writer)
        writer.write(b"\x89\x00" * (ends.CONTROLS_MAX + 1))
        await reader.read()

    async with stepped(play) as address:
        lane = await opened(provider_changes={"address": address})
        async with session(lane) as socket:
            assert (await told(socket, "error"))["error"]["code"] == "upstream_protocol"
        assert (await record_of(lane)).outcome == "provider_truncated"


async def test_pings_are_for_one_hop(opened: Opened) -> None:
    async with realtime_provider(ping_interval=None) as upstream:
        lane = await opened(provider_changes={"address": upstream.address})
        async with session(lane, ping_interval=None) as socket:
            await (await socket.ping(b"mine"))
            await socket.send(CREATE)
            await told(socket, "response.done")
        assert upstream.heard == [CREATE]


async def test_refused_events_do_not_pile_up(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tunnel, "OWN_BYTES_MAX", 64 * 1024)
    async with realtime_provider() as upstream:
        lane = await opened(provider_changes={"address": upstream.address})
        async with RawClient(lane.address) as client:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            raw = b"".join([HANDSHAKE_BYTES % lane.key.encode(), text("no JSON") * 80_000])
            sending = asyncio.create_task(client.send(raw))
            record = await record_of(lane)
            sending.cancel()
        assert (record.outcome, record.error) == ("client_left", "websocket_protocol")


HANDSHAKE_BYTES = (
    b"GET " + TARGET.encode() + b" HTTP/1.1\r\nHost: r\r\nAuthorization: Bearer %b\r\n"
    + b"".join(f"{n}: {v}\r\n".encode() for n, v in HANDSHAKE) + b"\r\n")


async def test_a_slow_client_holds_the_provider_back(opened: Opened) -> None:
    sent = 0

    async def play(made: Provider, socket: ServerConnection) -> None:
        nonlocal sent
        async for _ in socket:
            while sent < 400:
                await socket.send(event("response.output_audio.delta", delta="A" * 100_000))
                sent += 1

    async with realtime_provider(play, ping_interval=None) as upstream:
        lane = await opened(provider_changes={"address": upstream.address,
                                              "timeouts": Timeouts(idle=0.4)})
        async with session(lane, ping_interval=None, max_queue=2) as socket:
            await socket.send(CREATE)
            await until(lambda: sent)
            await asyncio.sleep(0.2)
            while (seen := sent) and not await asyncio.sleep(0.3) and sent != seen:
                pass
            assert sent < 300  # 30 MB: what the sockets' buffers hold
            [connection] = lane.app._plane.connections  # type: ignore[union-attr]
            assert connection.transport.get_write_buffer_size() < 1_000_000
            await asyncio.sleep(1)  # longer than the provider's idle time: it is not to blame
            for _ in range(400):
                assert len(await socket.recv()) > 100_000
        assert (await record_of(lane)).outcome == "completed"


async def test_a_client_that_never_reads_is_let_go(opened: Opened) -> None:
    async def play(made: Provider, socket: ServerConnection) -> None:
        while True:
            await socket.send(event("response.output_audio.delta", delta="A" * 100_000))

    async with realtime_provider(play) as upstream:
        lane = await opened(provider_changes={"address": upstream.address},
                            server={"idle_seconds": 0.5})
        async with RawClient(lane.address) as client:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await client.send(HANDSHAKE_BYTES % lane.key.encode())
            record = await record_of(lane)
        assert (record.outcome, record.status) == ("client_left", 101)


async def test_a_slow_provider_holds_the_client_back(opened: Opened) -> None:
    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept(reader, writer)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await go.wait()
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        while len(got) < 40_000_000:
            more = await reader.read(1 << 20)
            if not more:  # the session has ended: there would be nothing for ever
                return
            got.extend(more)
        done.set()
        await reader.read()

    go, done, got = asyncio.Event(), asyncio.Event(), bytearray()
    async with stepped(play) as address:
        lane = await opened(provider_changes={"address": address, "timeouts": Timeouts(idle=5)},
                            server={"idle_seconds": 0.4})
        async with session(lane) as socket:
            sent = 0

            async def pour() -> None:
                nonlocal sent
                message = json.dumps({"type": "input_audio_buffer.append", "audio": "A" * 100_000})
                for _ in range(400):
                    await socket.send(message)
                    sent += 1

            pouring = asyncio.create_task(pour())
            await asyncio.sleep(1)  # longer than a client may be silent: it is not to blame
            assert 0 < sent < 300
            go.set()
            await pouring
            await asyncio.wait_for(done.wait(), 5)
        assert (await record_of(lane)).outcome == "completed"


async def test_a_silent_provider_is_asked_then_given_up(opened: Opened) -> None:
    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept(reader, writer)
        got.extend(await reader.read(2))
        await reader.read()

    got = bytearray()
    async with stepped(play) as address:
        lane = await opened(provider_changes={"address": address, "timeouts": Timeouts(idle=0.4)})
        async with session(lane) as socket:
            assert (await told(socket, "error"))["error"]["code"] == "upstream_stalled"
            await socket.wait_closed()
            assert socket.close_code == 1011
        assert got == b"\x89\x80"
        record = await record_of(lane)
        assert (record.outcome, record.error) == ("provider_truncated", "upstream_stalled")


async def test_a_silent_client_is_asked_then_given_up(opened: Opened) -> None:
    async with realtime_provider() as upstream:
        lane = await opened(provider_changes={"address": upstream.address},
                            server={"idle_seconds": 0.4})
        async with RawClient(lane.address) as client:
            await upgraded(client, lane.key)
            with pytest.raises(ConnectionResetError):
                while data := await asyncio.wait_for(client.reader.read(9999), 3):
                    asked = data
                raise ConnectionResetError
            assert asked.endswith(b"\x89\x00")
        assert (await record_of(lane)).outcome == "client_left"


async def test_sides_that_answer_pings_may_be_quiet(opened: Opened) -> None:
    async with realtime_provider(ping_interval=None) as upstream:
        lane = await opened(provider_changes={"address": upstream.address,
                                              "timeouts": Timeouts(idle=0.3)},
                            server={"idle_seconds": 0.3})
        async with session(lane, ping_interval=None) as socket:
            await asyncio.sleep(1.2)
            await socket.send(CREATE)
            await told(socket, "response.done")
        assert (await record_of(lane)).outcome == "completed"


async def test_a_session_ends_some_time(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunnel, "SESSION_SECONDS_MAX", 0.3)
    async with realtime_provider() as upstream:
        lane = await opened(provider_changes={"address": upstream.address})
        async with session(lane) as socket:
            assert (await told(socket, "error"))["error"]["code"] == "session_too_long"
            await socket.wait_closed()
            assert socket.close_code == 1001
        record = await record_of(lane)
        assert (record.outcome, record.error) == ("completed", "session_too_long")


async def test_a_client_that_does_not_answer_a_close_is_not_waited_for(opened: Opened) -> None:
    async def play(made: Provider, socket: ServerConnection) -> None:
        await socket.close(1000)

    async with realtime_provider(play) as upstream:
        lane = await opened(provider_changes={"address": upstream.address})
        async with RawClient(lane.address) as client:
            await upgraded(client, lane.key)
            assert (await rest(client)).endswith(b"\x88\x02\x03\xe8")
        record = await record_of(lane)
        assert record.outcome == "completed" and (record.duration_ms or 0) < 1500


async def test_large_messages_pass_both_ways(opened: Opened) -> None:
    async def play(made: Provider, socket: ServerConnection) -> None:
        async for message in socket:
            made.heard.append(message)
            await socket.send(event("response.output_audio.delta", delta="B" * 5_000_000))

    sound = os.urandom(3_000_000).hex()
    async with realtime_provider(play, max_size=None) as upstream:
        lane = await opened(provider_changes={"address": upstream.address})
        async with session(lane, max_size=None) as socket:
            await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": sound}))
            assert len(await socket.recv()) > 5_000_000
        assert json.loads(upstream.heard[0])["audio"] == sound


async def test_tls_on_both_sides(opened: Opened, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    made = authority.issue_cert("127.0.0.1", "localhost")
    made.private_key_pem.write_to_path(tmp_path / "tls.key")
    (tmp_path / "tls.crt").write_bytes(b"".join(pem.bytes() for pem in made.cert_chain_pems))
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    async with realtime_provider(ssl=server) as upstream:
        lane = await opened(
            provider_changes={"address": upstream.address, "ca_file": str(tmp_path / "ca.pem")},
            server={"tls": TlsFiles(str(tmp_path / "tls.crt"), str(tmp_path / "tls.key"))})
        for _ in range(3):
            async with session(lane, scheme="wss", ssl=client) as socket:
                await told(socket, "session.created")
                await socket.send(CREATE)
                await told(socket, "response.done")
        records = await lane.settled(3)
        assert {(r.outcome, r.output_tokens) for r in records} == {("completed", 5)}
        await until(lambda: len(upstream.closes) == 3)
        assert upstream.closes == [(1000, "")] * 3


async def test_through_an_egress_proxy(opened: Opened) -> None:
    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
        finally:
            writer.close()

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head.split(b" ")[1])
        there, back = await asyncio.open_connection(*asked[0].decode().split(":"))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(carry(reader, back), carry(there, writer))

    asked: list[bytes] = []
    async with realtime_provider() as upstream, stepped(proxy) as address:
        lane = await opened(provider_changes={
            "address": upstream.address, "proxy": Proxy("http", "127.0.0.1", address.port)})
        async with session(lane) as socket:
            await socket.send(CREATE)
            await told(socket, "response.done")
        assert asked == [b"127.0.0.1:%d" % upstream.address.port]
        assert (await record_of(lane)).outcome == "completed"


async def test_many_sessions_at_once_leave_nothing_behind(opened: Opened) -> None:
    async def play(made: Provider, socket: ServerConnection) -> None:
        async for _ in socket:
            for each in answer("resp_1", "Hello"):
                await socket.send(each)

    async with realtime_provider(play) as upstream:
        lane = await opened(provider_changes={"address": upstream.address})

        async def one(number: int) -> None:
            async with session(lane) as socket:
                for _ in range(number % 3 + 1):
                    await socket.send(CREATE)
                    await told(socket, "response.done")
                if number % 5 == 0:
                    socket.transport.abort()

        await asyncio.gather(*map(one, range(60)))
        records = await lane.settled(60)
        assert sum(r.output_tokens for r in records) == sum(n % 3 + 1 for n in range(60)) * 5
        plane = lane.app._plane
        assert plane is not None
        await until(lambda: not plane.inflight and not upstream.open_now)
        await until(lambda: plane.policy.pools["openai"].busy == 0 and not plane.connections)


async def test_nothing_of_what_was_said_stays(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []

    class Kept(tunnel.Tunnel):
        __slots__ = ()

        def __init__(self, *wishes: Any) -> None:
            super().__init__(*wishes)
            made.append(self)

    class KeptLink(realtime.Link):
        __slots__ = ()

        def __init__(self, *wishes: Any) -> None:
            super().__init__(*wishes)
            made.append(self)

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept(reader, writer)
        writer.write(frame(1, event("session.created", session={"instructions": "mark"}).encode()))
        writer.write(frame(1, event("response.output_text.delta", delta="mark").encode())[:-1])
        await reader.read()

    monkeypatch.setattr(realtime, "Tunnel", Kept)
    monkeypatch.setattr(realtime, "Link", KeptLink)
    async with stepped(play) as address:
        lane = await opened(provider_changes={"address": address})
        async with RawClient(lane.address) as client:
            await upgraded(client, lane.key)
            await client.reader.readuntil(b"mark")
            link, both = made
            assert link.data == b""
            await client.send(text("mark", 0x01) + text("mark")[:-1])
            await until(lambda: b"mark" in b"".join(both.client.reader._pieces))
            vanish(client)
        await record_of(lane)
        for end in (both.client, both.provider):
            end.data_received(b"mark")  # what comes late
            kept = [getattr(end.reader, name) for name in end.reader.__slots__]
            assert "mark" not in repr(kept)


async def test_messages_that_are_not_whole_count_as_bodies_do(opened: Opened) -> None:
    async with realtime_provider() as upstream:
        lane = await opened(provider_changes={"address": upstream.address},
                            server={"pending_bytes_max": 50_000})
        assert lane.app._plane is not None
        overload = lane.app._plane.overload
        async with RawClient(lane.address) as client, RawClient(lane.address) as other:
            await upgraded(client, lane.key)
            await upgraded(other, lane.key)
            part = text(b"x" * 30_000, 0x01)
            await client.send(part)
            await until(lambda: overload.pending_bytes == 30_000)
            await other.send(part)
            said = await rest(other)
            assert b'"overloaded"' in said and b"\x03\xf5overloaded" in said
            await until(lambda: overload.pending_bytes == 30_000)
        await lane.settled(2)
        assert overload.pending_bytes == 0
