"""Replies as they pass: every framing, backpressure, and how a broken one ends."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from relayd.core.provider import Timeouts
from relayd.relay.stream import Stream
from relayd.wire.chunked import is_chunk
from tests.fakes.daemon import ANSWER, Lane
from tests.fakes.rawclient import RawClient, ask, request_bytes
from tests.fakes.rawupstream import Answer, message
from tests.fakes.stepped import EVENTS, chunk, stepped, vanish
from tests.http.play import BODY, STREAM, TARGET
from tests.relay.conftest import Opened

EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"one"}}]}\n\n'
USAGE = (b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,'
         b'"total_tokens":5}}\n\n')
DONE = b"data: [DONE]\n\n"
SILENT = STREAM.replace(b',"stream_options":{"include_usage":true}', b"")
"""A stream whose client did not ask for the usage event."""
FAR_BYTES = 50 * 1024 * 1024
PIECE = b"y" * 65536
HELD_BYTES_MAX = 24 * 1024 * 1024
"""What four socket buffers of loopback may hold between a provider and its client."""


def chat(lane: Lane, body: bytes = BODY, **more: Any) -> bytes:
    return request_bytes(TARGET, lane.key, body, **more)


async def test_interim_answers_and_trailers_stay_here(opened: Opened) -> None:
    raw = (b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" + message(b"", chunked=True)[:-5]
           + chunk(ANSWER) + b"0\r\nX-Trailer: t\r\n\r\n")
    lane = await opened(lambda _: Answer(raw))
    async with RawClient(lane.address) as client:
        await client.send(chat(lane))
        reply = await client.reply()
        assert reply is not None and (reply.status, reply.body) == (200, ANSWER)
        assert reply.trailers == []


async def test_usage_that_only_the_relay_asked_for_is_withheld(opened: Opened) -> None:
    raw = message(EVENT + USAGE + DONE, "text/event-stream", chunked=True)
    lane = await opened(lambda _: Answer(raw, pace="segments-7"))
    reply = await ask(lane.address, chat(lane, SILENT))
    assert reply.body == EVENT + DONE
    assert b'"include_usage":true' in lane.upstream.requests[0].body
    reply = await ask(lane.address, chat(lane, STREAM))
    assert reply.body == EVENT + USAGE + DONE
    records = await lane.settled(2)
    assert [(r.input_tokens, r.output_tokens, r.usage_source) for r in records] == [
        (3, 2, "reported")] * 2


NAMED = (b'data: {"choices":[],"error":{"code":502,"message":"no quota in organization '
         b'org-AbCd1234EfGh5678"}}\n\n')


@pytest.mark.parametrize("pace", ["once", "bytes", "segments-7", "segments-90"])
@pytest.mark.parametrize("body", [STREAM, SILENT])
async def test_an_error_in_a_stream_that_names_the_operator_is_told_in_other_words(
    opened: Opened, pace: str, body: bytes
) -> None:
    framed = b"".join(map(chunk, (EVENT, EVENT, NAMED, USAGE, DONE)))
    lane = await opened(lambda _: Answer(
        message(b"", "text/event-stream", chunked=True)[:-5] + framed + b"0\r\n\r\n", pace=pace))
    reply = await ask(lane.address, chat(lane, body))
    usage = USAGE if body is STREAM else b""
    assert reply.ended == "complete" and b"organization" not in reply.body
    assert reply.body.startswith(EVENT * 2 + b'data: {"error":{')
    assert reply.body.endswith(b"}\n\n" + usage + DONE)
    record, = await lane.settled(1)
    assert (record.outcome, record.error, record.output_tokens) == (
        "provider_error", "provider_stream_error", 2)


LONG = NAMED.replace(b"no quota", b"no quota" * 99)
BEGUN = (b'event: message_start\ndata: {"type":"message_start","message":{"usage":'
         b'{"input_tokens":3}}}\n\n')
FALLEN = (b'event: error\ndata: {"type":"error","error":{"message":"%b in organization '
          b"org-AbCd1234EfGh")
MESSAGES = BODY[:-1] + b',"stream":true,"max_tokens":9}'


@pytest.mark.parametrize("framed", [True, False])
@pytest.mark.parametrize("pace", ["once", "segments-90"])
@pytest.mark.parametrize(("target", "body", "before", "half"), [
    (TARGET, SILENT, EVENT, NAMED[:-9]), (TARGET, STREAM, EVENT, LONG[:-9]),
    (TARGET, STREAM, EVENT + DONE, LONG[:-9]), (TARGET, STREAM, b"", LONG[6:-9]),
    ("/v1/messages", MESSAGES, BEGUN, FALLEN % (b"busy" * 99)),
])
async def test_half_of_an_error_that_names_the_operator_is_none(
    opened: Opened, target: str, body: bytes, before: bytes, half: bytes, pace: str, framed: bool
) -> None:
    raw = message(before + half, "text/event-stream", chunked=True)
    if not framed:
        raw = EVENTS.replace(b"Transfer-Encoding: chunked\r\n", b"") + before + half
    lane = await opened(lambda _: Answer(raw, pace=pace, after="keep" if framed else "close"))
    reply = await ask(lane.address, request_bytes(target, lane.key, body))
    # behind the stream's end, or named as one, it is the error that it began to tell
    told = b"reported an error" if DONE in before or b"event: error" in half else b"ended early"
    assert b"organization" not in reply.body and told in reply.body
    assert reply.body.startswith(before) or reply.status == 502
    record, = await lane.settled(1)
    assert (record.outcome == "completed") is (DONE in before)


async def test_what_is_held_of_an_event_goes_when_the_stream_ends(opened: Opened) -> None:
    body = EVENT + DONE[:-2]
    lane = await opened(lambda _: Answer(
        message(body, "text/event-stream", chunked=True), pace="segments-5"))
    assert (await ask(lane.address, chat(lane, STREAM))).body == body
    body = EVENT + EVENT[:-2]  # it is counted, without its end and the stream's
    for pace in ("once", "segments-5"):
        lane.upstream.answers.append(
            Answer(message(body, "text/event-stream", chunked=True), pace=pace))
        reply = await ask(lane.address, chat(lane, STREAM))
        assert reply.ended == "closed" and reply.body.startswith(body + b"\n\ndata: {")


SPELLINGS = [
    chunk(EVENT), chunk(EVENT), b"3B\r\n%b\r\n" % EVENT, chunk(EVENT), b"03b\r\n%b\r\n" % EVENT,
    b"3b;a=b\r\n%b\r\n" % EVENT, chunk(EVENT) * 2, chunk(EVENT), chunk(EVENT)[:20],
    chunk(EVENT)[20:], chunk(EVENT)[:-1], b"\n", chunk(EVENT), chunk(EVENT[:9]), chunk(EVENT[9:]),
    chunk(EVENT), *[chunk(EVENT)] * 20, chunk(USAGE), chunk(DONE),
]
"""What a provider sends, a read each: one event of 59 bytes in chunks of all kinds."""


@pytest.mark.parametrize(("body", "usage"), [(STREAM, USAGE), (SILENT, b"")])
async def test_a_chunk_framed_as_here_passes_as_it_came(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, body: bytes, usage: bytes
) -> None:
    passed: list[bytes] = []
    on_chunk = Stream.on_chunk

    def seen(stream: Stream, data: bytes) -> None:
        passed.append(data)
        on_chunk(stream, data)

    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"hi")
        for piece in (EVENTS, *SPELLINGS, b"0\r\n\r\n"):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)
        await reader.read()

    monkeypatch.setattr(Stream, "on_chunk", seen)
    async with stepped(send) as address:
        lane = await opened(provider_changes={"address": address})
        reply = await ask(lane.address, chat(lane, body))
        [record] = await lane.settled(1)
    events = b"".join(SPELLINGS).count(b"data: {") - 1
    assert reply.ended == "complete" and reply.body == EVENT * events + usage + DONE
    assert (record.outcome, record.usage_source) == ("completed", "reported")
    assert record.counted_output_tokens == events
    assert len(passed) > 20 and all(map(is_chunk, passed))


@pytest.mark.parametrize("case", ["cut", "reset", "stalled"])
async def test_a_broken_stream_ends_with_an_event_and_a_cut(opened: Opened, case: str) -> None:
    after: Any = {"cut": "close", "reset": "reset", "stalled": "hold"}[case]
    lane = await opened(lambda _: Answer(EVENTS + chunk(EVENT), after=after),
                        provider_changes={"timeouts": Timeouts(1.0, 0.3, 0.3)})
    reply = await ask(lane.address, chat(lane, STREAM))
    assert reply.status == 200 and reply.ended == "closed"
    assert reply.body.startswith(EVENT)
    error = json.loads(reply.body[len(EVENT):].strip().removeprefix(b"data: "))["error"]
    [record] = await lane.settled(1)
    assert record.outcome == "provider_truncated" and error["code"] == record.error
    assert record.error == ("upstream_stalled" if case == "stalled" else "upstream_truncated")
    assert record.counted_output_tokens == 1 and record.status == 200


IMAGE = b'{"model":"test-model","prompt":"a","stream":true}'
SPEECH = b'{"model":"test-model","input":"a","voice":"b","stream_format":"sse"}'
FORM = b"".join(
    b'--B\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % field for field in (
        (b"model", b"test-model"), (b"stream", b"true"), (b'file"; filename="a.wav', b"RIFF"))
) + b"--B--\r\n"


@pytest.mark.parametrize(("target", "body", "part", "last"), [
    ("/v1/images/generations", IMAGE, b'{"type":"image_generation.partial_image","b64_json":"A"}',
     b'{"type":"image_generation.completed","b64_json":"A"}'),
    ("/v1/images/edits", FORM, b'{"type":"image_edit.partial_image","b64_json":"A"}',
     b'{"type":"image_edit.completed","b64_json":"A"}'),
    ("/v1/audio/speech", SPEECH, b'{"type":"speech.audio.delta","audio":"A"}',
     b'{"type":"speech.audio.done"}'),
    ("/v1/audio/transcriptions", FORM, b'{"type":"transcript.text.delta","delta":"a"}',
     b'{"type":"transcript.text.done","text":"a"}'),
    ("/v1/audio/transcriptions", FORM, b'{"choices":[{"delta":{"content":"a"}}]}', b"[DONE]"),
], ids=["images", "edits", "speech", "transcription", "vllm"])
@pytest.mark.parametrize("pace", ["once", "segments-30"])
async def test_sound_and_images_without_their_last_event_have_no_clean_end(
    opened: Opened, pace: str, target: str, body: bytes, part: bytes, last: bytes
) -> None:
    lane = await opened()
    asked = request_bytes(target, lane.key, body)
    if body is FORM:
        asked = asked.replace(b"application/json", b"multipart/form-data; boundary=B")
    whole = b"data: %b\n\ndata: %b\n\n" % (part, last)
    for sent in (whole, whole[:-len(last)], whole[:len(part) + 8]):
        lane.upstream.answers.append(
            Answer(message(sent, "text/event-stream", chunked=True), pace=pace))
        reply = await ask(lane.address, asked)
        assert reply.status == 200 and reply.body.startswith(b"data: " + part)
        assert reply.ended == ("complete" if sent is whole else "closed")
        assert (b"ended early" in reply.body) == (sent is not whole)
    assert [r.outcome for r in await lane.settled(3)] == [
        "completed", "provider_truncated", "provider_truncated"]


@pytest.mark.parametrize("pace", ["once", "segments-30"])
@pytest.mark.parametrize("part", [b'{"text":" one"}', b" one"], ids=["json", "plain"])
async def test_segments_that_know_no_last_event_end_where_they_end(
    opened: Opened, part: bytes, pace: str
) -> None:
    """As speaches and faster-whisper-server stream them; in the middle of one they are cut."""
    lane = await opened()
    asked = request_bytes("/v1/audio/transcriptions", lane.key, FORM).replace(
        b"application/json", b"multipart/form-data; boundary=B")
    whole = b"data: %b\n\n" % part * 3
    for sent in (whole, whole[:-3]):
        lane.upstream.answers.append(
            Answer(message(sent, "text/event-stream", chunked=True), pace=pace))
        reply = await ask(lane.address, asked)
        assert reply.ended == ("complete" if sent is whole else "closed")
        assert reply.body == whole if sent is whole else reply.body.startswith(sent)
    assert [r.outcome for r in await lane.settled(2)] == ["completed", "provider_truncated"]


ARRAY = "/v1beta/models/test-model:streamGenerateContent"
ELEMENT = b'{"candidates":[{"content":{"parts":[{"text":"one"}]}}]}'
LAST = b'{"candidates":[{"finishReason":"STOP"}]}'
FAILED = b'{"error":{"code":503,"message":"busy"}}'


@pytest.mark.parametrize(("body", "ended"), [
    (b"[%b,\n%b]" % (ELEMENT, LAST), "completed"), (b"[]\n", "completed"),
    (b"[%b]" % ELEMENT, "completed"), (b"[%b,%b\n]\n" % (ELEMENT, FAILED), "provider_error"),
    (b"[%b,\r\n%b" % (ELEMENT, ELEMENT), "provider_truncated"),
    (b"[%b\n,\n" % ELEMENT, "provider_truncated"),
    (b"[%b,%b" % (ELEMENT, FAILED[:-9]), "provider_truncated"),
])
async def test_an_array_that_is_cut_has_no_clean_end(
    opened: Opened, body: bytes, ended: str
) -> None:
    lane = await opened()
    asked = request_bytes(ARRAY, lane.key, b'{"contents":[]}')
    ways = [(pace, minor) for pace in ("once", "segments-70") for minor in (0, 1)]
    for pace, minor in ways:
        lane.upstream.answers.append(Answer(message(body, chunked=bool(minor)), pace=pace))
        reply = await ask(lane.address, asked.replace(b"HTTP/1.1", b"HTTP/1.%d" % minor, 1))
        is_cut = ended == "provider_truncated"
        assert reply.ended == ("closed" if is_cut and minor else "complete")
        if is_cut:
            assert reply.body.startswith(body.removesuffix(FAILED[:-9]))
            assert "ended early" in json.loads(reply.body)[-1]["error"]["message"]
        else:
            assert reply.status == 200 and reply.body == body
    assert [r.outcome for r in await lane.settled(len(ways))] == [ended] * len(ways)


@pytest.mark.parametrize("chunked", [False, True])
async def test_an_array_that_is_cut_at_each_of_its_octets(opened: Opened, chunked: bool) -> None:
    lane = await opened()
    body = b"[%b,\n%b]" % (ELEMENT, ELEMENT)
    for size in range(len(body)):
        lane.upstream.answers.append(Answer(message(body[:size], chunked=chunked)))
        reply = await ask(lane.address, request_bytes(ARRAY, lane.key, b'{"contents":[]}'))
        told = json.loads(reply.body)
        assert reply.ended == ("closed" if reply.status == 200 else "complete")
        assert "ended early" in (told if reply.status == 502 else told[-1])["error"]["message"]
    assert {r.outcome for r in await lane.settled(len(body))} == {"provider_truncated"}


@pytest.mark.parametrize("pace", ["once", "segments-20"])
@pytest.mark.parametrize("body", [b"", b"[", b"[\n"])
async def test_an_array_of_which_nothing_came_is_an_error(
    opened: Opened, body: bytes, pace: str
) -> None:
    lane = await opened(lambda _: Answer(message(body), pace=pace))
    reply = await ask(lane.address, request_bytes(ARRAY, lane.key, b'{"contents":[]}'))
    assert (reply.status, reply.ended) == (502, "complete")
    assert json.loads(reply.body)["error"]["status"] == "UNAVAILABLE"


async def test_a_client_that_does_not_read_stops_the_provider(opened: Opened) -> None:
    sent = 0

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"hi")
        writer.write(EVENTS)
        while sent < FAR_BYTES:
            writer.write(chunk(PIECE))
            await writer.drain()
            sent += len(PIECE)
        writer.write(chunk(b"\n\n" + DONE) + chunk(b""))
        await reader.read()

    async with stepped(pour) as address:
        lane = await opened(provider_changes={"address": address},
                            server={"write_buffer_bytes": 100_000})
        async with RawClient(lane.address) as client:
            transport: Any = client.writer.transport
            await client.send(chat(lane, STREAM))
            transport.pause_reading()
            await asyncio.sleep(0.5)
            before = sent
            await asyncio.sleep(0.3)
            assert sent == before < HELD_BYTES_MAX
            [connection] = lane.app._plane.connections  # type: ignore[union-attr]
            assert 0 < connection.transport.get_write_buffer_size() < 1024 * 1024
            transport.resume_reading()
            reply = await client.final_reply()
            assert reply.ended == "complete"
            assert len(reply.body) == FAR_BYTES + len(b"\n\n" + DONE)


@pytest.mark.parametrize("how", ["vanish", "close"])
async def test_a_client_that_leaves_a_stream_ends_it(opened: Opened, how: str) -> None:
    ended = asyncio.Event()

    async def tick(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"hi")
            writer.write(EVENTS)
            while True:
                writer.write(chunk(EVENT))
                await writer.drain()
                await asyncio.sleep(0.01)
        finally:
            ended.set()

    async with stepped(tick) as address:
        lane = await opened(provider_changes={"address": address})
        async with RawClient(lane.address) as client:
            await client.send(chat(lane, STREAM))
            await client.reader.readuntil(EVENT[-10:])
            if how == "vanish":
                vanish(client)
        [record] = await lane.settled(1)
        assert (record.outcome, record.error, record.status) == ("client_left", "client_left", 200)
        assert record.usage_source in ("counted", "estimated") and record.output_tokens > 0
        await asyncio.wait_for(ended.wait(), 2)
