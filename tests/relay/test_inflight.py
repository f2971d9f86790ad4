"""The sweep: timeouts before and after the first byte, heartbeats in each dialect, idle ends."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import pytest

from relayd.core.journal import Mark
from relayd.core.provider import Timeouts
from relayd.core.route import Deployment, Route
from relayd.relay import inflight
from relayd.store import journal_segment
from relayd.store.journal_frame import PROGRESS, Reader
from relayd.store.journal_lane import lane_directory
from tests.fakes.daemon import ANSWER, Lane, provider
from tests.fakes.process import DaemonProcess
from tests.fakes.rawclient import RawClient, ask, request_bytes
from tests.fakes.rawupstream import Answer, message
from tests.fakes.stepped import EVENTS, chunk, stepped
from tests.http.play import BODY, STREAM, TARGET
from tests.relay.conftest import Opened

IMPATIENT = {"timeouts": Timeouts(connect=1.0, first_byte=0.3, idle=0.3)}
PING = b'event: ping\ndata: {"type": "ping"}\n\n'
MESSAGES = (b'{"model":"m","max_tokens":9,"stream":true,'
            b'"messages":[{"role":"user","content":"hi"}]}')
CONTENTS = b'{"contents":[{"parts":[{"text":"hi"}]}]}'
DIALECTS = [
    (TARGET, STREAM, b"\n", b"data: [DONE]\n\n"),
    ("/v1/responses", b'{"model":"m","input":"hi","stream":true}', b"\n",
     b'data: {"type":"response.completed","response":{}}\n\n'),
    ("/v1/messages", MESSAGES, PING, b'event: message_stop\ndata: {"type":"message_stop"}\n\n'),
    ("/v1beta/models/m:streamGenerateContent?alt=sse", CONTENTS, b"\n",
     b'data: {"candidates":[{"finishReason":"STOP"}]}\n\n'),
]


def chat(lane: Lane, body: bytes = BODY) -> bytes:
    return request_bytes(TARGET, lane.key, body)


async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, last: bytes) -> None:
    await reader.readuntil(b"hi")
    writer.write(EVENTS)
    await asyncio.sleep(0.9)
    writer.write(chunk(last) + chunk(b""))
    await reader.read()


@pytest.mark.parametrize(("target", "body", "beat", "last"), DIALECTS,
                         ids=[row[0] for row in DIALECTS])
async def test_heartbeat_seconds(
    opened: Opened, target: str, body: bytes, beat: bytes, last: bytes
) -> None:
    async with stepped(lambda r, w: late(r, w, last), "") as address:
        lane = await opened(provider_changes={"address": address},
                            server={"heartbeat_seconds": 0.2})
        reply = await ask(lane.address, request_bytes(target, lane.key, body))
        beats = reply.body.removesuffix(last)
        assert reply.ended == "complete" and len(beats) >= 2 * len(beat)
        assert beats == beat * (len(beats) // len(beat))
        [record] = await lane.settled(1)
        # a heartbeat is no sign of life of the provider's
        assert record.first_byte_ms is not None and record.first_byte_ms > 800


async def test_no_heartbeat_where_it_is_off_or_within_an_event(opened: Opened) -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"hi")
        writer.write(EVENTS + chunk(b"data: [DO"))
        await asyncio.sleep(0.7)
        writer.write(chunk(b"NE]\n\n") + chunk(b""))
        await reader.read()

    async with stepped(half) as address:
        lane = await opened(provider_changes={"address": address},
                            server={"heartbeat_seconds": 0.2})
        reply = await ask(lane.address, chat(lane, STREAM))
        assert reply.body == b"data: [DONE]\n\n"


async def test_no_heartbeats_at_all(opened: Opened) -> None:
    async with stepped(lambda r, w: late(r, w, b"data: [DONE]\n\n")) as address:
        lane = await opened(provider_changes={"address": address},
                            server={"heartbeat_seconds": 0.0})
        reply = await ask(lane.address, chat(lane, STREAM))
        assert reply.body == b"data: [DONE]\n\n"


@pytest.mark.parametrize("body", [BODY, STREAM])
async def test_a_client_that_closes_before_the_reply_has_left(opened: Opened, body: bytes) -> None:
    """In clear text, where its last word is that of one that only half-closes."""
    lane = await opened(lambda _: Answer(b"", after="hold"))
    async with RawClient(lane.address) as client:
        await client.send(chat(lane, body))
        while not lane.upstream.requests:
            await asyncio.sleep(0.01)
    [record] = await lane.settled(1)
    assert (record.outcome, record.error, record.status) == ("client_left", "client_left", 0)
    assert record.duration_ms is not None and record.duration_ms < 4000
    assert [pool.busy for pool in lane.app._plane.pools()] == [0] * 3  # type: ignore


@pytest.mark.parametrize("version", [b"HTTP/1.1", b"HTTP/1.0"])
async def test_a_half_closed_client_has_its_late_answer(opened: Opened, version: bytes) -> None:
    async def after_a_while(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"hi")
        await asyncio.sleep(2.4)
        writer.write(message(ANSWER))
        await reader.read()

    async with stepped(after_a_while, "") as address:
        lane = await opened(provider_changes={"address": address})
        async with RawClient(lane.address) as client:
            await client.send(chat(lane).replace(b"HTTP/1.1", version))
            client.writer.write_eof()
            first = await client.reply()
            assert first is not None
            if version == b"HTTP/1.1":
                assert first.status == 100
                first = await client.reply()
            assert first is not None and (first.status, first.body) == (200, ANSWER)
        [record] = await lane.settled(1)
        assert (record.outcome, record.status) == ("completed", 200)


@pytest.mark.parametrize(("said", "status", "error"), [
    (b"", 504, "upstream_timeout"),
    (b"HTTP/1.1 103 Early Hints\r\n\r\n", 504, "upstream_timeout"),
    (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n",
     504, "upstream_stalled"),
    (message(b"{}", status=500)[:-1], 504, "upstream_timeout"),
])
async def test_silence_before_the_first_byte(
    opened: Opened, said: bytes, status: int, error: str
) -> None:
    lane = await opened(lambda _: Answer(said, after="hold"), provider_changes=IMPATIENT)
    reply = await ask(lane.address, chat(lane))
    assert reply.status == status and reply.ended == "complete"
    [record] = await lane.settled(1)
    assert record.error == error and record.status == status
    await asyncio.sleep(0.02)
    assert [pool.busy for pool in lane.app._plane.pools()] == [0] * 3  # type: ignore


async def test_silence_after_the_first_byte(opened: Opened) -> None:
    lane = await opened(lambda _: Answer(message(ANSWER)[:-1], after="hold"),
                        provider_changes=IMPATIENT)
    reply = await ask(lane.address, chat(lane))
    assert (reply.status, reply.ended) == (200, "closed")
    [record] = await lane.settled(1)
    assert (record.outcome, record.error) == ("provider_truncated", "upstream_stalled")


async def test_a_stream_that_speaks_is_never_ended(opened: Opened) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"hi")
        writer.write(EVENTS)
        for _ in range(6):  # longer in all than the idle time, and the first byte's
            writer.write(chunk(b"data: {}\n\n"))
            await asyncio.sleep(0.15)
        writer.write(chunk(b"data: [DONE]\n\n") + chunk(b""))
        await reader.read()

    async with stepped(speak) as address:
        lane = await opened(provider_changes={"address": address, **IMPATIENT})
        reply = await ask(lane.address, chat(lane, STREAM))
        assert reply.ended == "complete" and reply.body.count(b"{}") == 6


async def test_two_clients_wait_side_by_side(opened: Opened) -> None:
    lane = await opened(provider_changes=IMPATIENT)
    lane.upstream.answers.append(Answer(b"", after="hold"))
    async with RawClient(lane.address) as stuck:
        await stuck.send(chat(lane))
        await asyncio.sleep(0.05)
        assert (await ask(lane.address, chat(lane))).status == 200
        assert (await stuck.final_reply()).status == 504


def progress(lane: Lane) -> list[Mark]:
    """What the journal was told of calls that go on."""
    found = []
    for path in journal_segment.paths(lane_directory(lane.store, 0)):
        reader = Reader()
        for piece in journal_segment.pieces(path):
            found += [entry for entry in reader.feed(piece) if entry.kind == PROGRESS]
    return [msgspec.msgpack.decode(entry.value, type=Mark) for entry in found]


async def test_the_journal_is_told_how_far_a_long_call_has_come(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inflight, "MARK_AFTER_SECONDS", 0.2)
    monkeypatch.setattr(inflight, "MARK_SECONDS", 0.5)
    event = b'data: {"choices":[{"index":0,"delta":{"content":" word"}}]}\n\n'
    go_on = asyncio.Event()

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"hi")
        writer.write(EVENTS + chunk(event) * 3)
        await go_on.wait()
        writer.write(chunk(event))
        await asyncio.sleep(0.9)
        writer.write(chunk(b"data: [DONE]\n\n") + chunk(b""))
        await reader.read()

    async with stepped(speak) as address:
        lane = await opened(provider_changes={"address": address})
        asked = asyncio.gather(ask(lane.address, chat(lane, STREAM)))
        await asyncio.sleep(0.9)
        (mark,) = progress(lane)  # it did not move since
        assert (mark.status, mark.attempts, mark.counted_output_tokens, mark.usage) == (
            200, 1, 3, None)
        assert mark.counted_input_tokens and mark.first_byte_ms
        go_on.set()
        await asked
        assert [mark.counted_output_tokens for mark in progress(lane)] == [3, 4]


async def test_marks_are_few_at_a_time_and_every_call_has_its_turn(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inflight, "MARK_AFTER_SECONDS", 0.0)
    monkeypatch.setattr(inflight, "MARKS_PER_SWEEP", 2)
    lane = await opened(lambda _: Answer(EVENTS + chunk(b"data: {}\n\n"), after="hold"))
    async with AsyncExitStack() as stack:
        for _ in range(7):
            client = await stack.enter_async_context(RawClient(lane.address))
            await client.send(chat(lane, STREAM))
            await client.reader.readuntil(b"{}")
        await asyncio.sleep(1.3)
        found = progress(lane)
        assert len(found) == len({mark.id for mark in found}) == 7


@pytest.mark.parametrize("hedge_ms", [0, 60_000])
async def test_a_call_that_is_sent_once_more_is_marked_before(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, hedge_ms: int
) -> None:
    """A daemon that dies then knows how often the provider has been asked."""
    monkeypatch.setattr(inflight, "MARK_AFTER_SECONDS", 60.0)
    answers = [message(ANSWER), None]

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"hi")
            answer = answers.pop(0) if answers else b""
            if answer is None:
                return
            writer.write(answer)

    async with stepped(speak) as address:
        two = {name: provider("openai", address.port, name=name) for name in ("one", "two")}
        first, second = Deployment("one"), Deployment("two", priority=2)
        lane = await opened(
            providers=two, routes=(Route("*", (first, second), hedge_ms=hedge_ms),))
        assert (await ask(lane.address, chat(lane))).status == 200
        async with RawClient(lane.address) as client:
            await client.send(chat(lane))
            async with asyncio.timeout(5):
                while not progress(lane):
                    await asyncio.sleep(0.02)
            assert [mark.attempts for mark in progress(lane)] == [2]


async def test_a_short_call_is_not_marked(opened: Opened) -> None:
    lane = await opened()
    assert (await ask(lane.address, chat(lane))).status == 200
    await asyncio.sleep(0.3)
    assert progress(lane) == []


class Hasty(DaemonProcess):
    """Its providers have a second."""

    def _config(self) -> str:
        return super()._config().replace("first_byte = 5", "first_byte = 1")


async def test_what_came_while_the_process_stood_still_is_read_first(tmp_path: Path) -> None:
    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"hi")
        await asyncio.sleep(0.6)
        writer.write(message(ANSWER))
        await reader.read()

    async with stepped(slowly) as address, Hasty(tmp_path / "daemon", address.port) as daemon:
        await daemon.calm()
        async with RawClient(daemon.address) as client:
            await client.send(request_bytes(TARGET, daemon.key, BODY))
            await asyncio.sleep(0.3)
            daemon.signal(signal.SIGSTOP)
            await asyncio.sleep(1.5)
            daemon.signal(signal.SIGCONT)
            assert (await client.final_reply()).body == ANSWER


async def test_a_pass_over_many_connections_is_made_in_steps(opened: Opened) -> None:
    lane = await opened(server={"header_seconds": 60.0})
    plane = lane.app._plane
    assert plane is not None
    count = 2 * inflight.STEP + 1
    connections = [await asyncio.open_connection(*lane.address) for _ in range(count)]
    async with asyncio.timeout(5):
        while len(plane.connections) < count:
            await asyncio.sleep(0.01)
    sweep, later = inflight.Sweep(plane), plane.now() + 61
    steps = sweep.steps(later)
    next(steps)
    assert sum(c.transport.is_closing() for c in plane.connections) == inflight.STEP
    connections[-1][1].close()  # one leaves between two steps
    await asyncio.sleep(0.05)
    assert len(list(steps)) == 2
    async with asyncio.timeout(5):
        while plane.connections:
            await asyncio.sleep(0.01)
    for _, writer in connections:
        writer.close()


@pytest.mark.parametrize("wanted", [True, False])
async def test_busy_poll_keeps_the_loop_awake_while_a_call_is_under_way(
    opened: Opened, wanted: bool
) -> None:
    go_on = asyncio.Event()

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"hi")
        await go_on.wait()
        writer.write(EVENTS + chunk(b"data: [DONE]\n\n") + chunk(b""))
        await reader.read()

    async with stepped(wait, "") as address:
        lane = await opened(provider_changes={"address": address}, server={"busy_poll": wanted})
        asked = asyncio.ensure_future(ask(lane.address, chat(lane, STREAM)))
        await asyncio.sleep(3 / inflight.SWEEPS_PER_SECOND)
        assert lane.app._plane is not None
        assert lane.app._plane.busy.awake is wanted
        go_on.set()
        assert (await asked).status == 200
