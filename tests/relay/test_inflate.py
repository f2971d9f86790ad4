"""Replies that came compressed: passed as they are, read as what they hold."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.usage import Usage
from relayd.relay.inflate import RATIO_MAX, ROOM_BYTES, STEP_BYTES, InflatingTap, coding_of
from relayd.relay.report import Report
from relayd.relay.tap import tap_for
from relayd.wire.dialect import BY_OPERATION
from relayd.wire.replyhead import ReplyHead, read_reply_head
from tests.fakes.daemon import ANSWER
from tests.fakes.rawclient import RawClient, ask, request_bytes
from tests.fakes.rawupstream import Answer, message
from tests.fakes.splits import cut, places
from tests.fakes.texts import Texts
from tests.http.play import BODY, STREAM, TARGET
from tests.relay.conftest import Opened

JSON, SSE = b"application/json", b"text/event-stream"
LIMIT = 1 << 20
EVENTS = (b'data: {"choices":[{"index":0,"delta":{"content":"ok"},"finish_reason":"stop"}]}\n\n'
          b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n'
          b"data: [DONE]\n\n")
CUT = b'data: {"choices":[{"index":0,"delta":{"content":"ok"}}]}\n\n'
CODINGS: dict[bytes, Callable[[bytes], bytes]] = {
    b"gzip": gzip.compress, b"deflate": zlib.compress}


def tap(
    coding: bytes, kind: bytes, texts: Texts | None = None, limit: int = LIMIT
) -> InflatingTap:
    inner = tap_for(BY_OPERATION["chat"], kind, 200, withhold_usage=False, counter=texts,
                    limit=limit)
    return InflatingTap(inner, coding, limit)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize(("kind", "inside"), [(JSON, ANSWER), (SSE, EVENTS)])
@given(where=places)
def test_it_passes_and_is_read_however_it_is_cut(
    coding: bytes, kind: bytes, inside: bytes, where: list[int]
) -> None:
    body = CODINGS[coding](inside)
    for pieces in ([body], cut(body, where)):
        texts = Texts()
        it = tap(coding, kind, texts)
        for piece in pieces:
            assert it.feed(piece) is piece
        assert it.usage_so_far() == (Usage(3, 2) if kind == SSE else None)
        assert it.finish(True) == Report(Usage(3, 2), True, None, True)
        assert "".join(texts.streams.values()) == "ok"


@pytest.mark.parametrize(("body", "ended"), [
    (b"", False), (b"no gzip", True), (gzip.compress(ANSWER, mtime=0)[:-9], False),
    (ANSWER, True)])
def test_what_cannot_be_inflated_fails_nothing(body: bytes, ended: bool) -> None:
    it = tap(b"gzip", JSON)
    assert it.feed(body) == body
    assert it.finish(True) == Report(None, ended, None, True)


@given(st.integers(-2, 2), st.sampled_from([1, 2, 3]))
def test_all_of_it_comes_at_every_size(more: int, steps: int) -> None:
    reply = json.loads(ANSWER) | {"filler": ""}
    filler = steps * STEP_BYTES + more - len(json.dumps(reply))
    it = tap(b"gzip", JSON)
    it.feed(gzip.compress(json.dumps(reply | {"filler": "x" * filler}).encode()))
    assert it.finish(True).usage == Usage(3, 2)


def test_no_more_is_inflated_than_is_read() -> None:
    it = tap(b"gzip", JSON, limit=3 * STEP_BYTES)
    it.feed(gzip.compress(b"[" * (64 << 20)))
    assert it._left > -STEP_BYTES - 1 and it.finish(True) == Report(None, True, None, True)


@pytest.mark.parametrize(("fields", "coding"), [
    (b"Content-Encoding: GZIP", b"gzip"), (b"Content-Encoding: br", None), (b"X: y", None),
    (b"Content-Encoding: gzip\r\nContent-Encoding: gzip", None),
    (b"Content-Encoding: gzip, gzip", None),
])
def test_codings(fields: bytes, coding: bytes | None) -> None:
    head: ReplyHead = read_reply_head(b"HTTP/1.1 200 OK\r\n" + fields, 200, "1.1")
    assert coding_of(head) == coding


@pytest.mark.parametrize("pace", ["once", "segments-20"])
@pytest.mark.parametrize(("ask", "kind", "inside", "code", "seen"), [
    (BODY, JSON, ANSWER, "gzip", ("reported", 3, 2)),
    (STREAM, SSE, EVENTS, "deflate", ("reported", 3, 2)),
    (BODY, JSON, ANSWER, "br", ("estimated", 8, 0)),
])
async def test_through_the_relay(
    opened: Opened, ask: bytes, kind: bytes, inside: bytes, code: str, pace: str,
    seen: tuple[str, int, int],
) -> None:
    body = CODINGS.get(code.encode(), bytes)(inside)
    raw = message(body, kind.decode(), fields=(("Content-Encoding", code),))
    lane = await opened(lambda _: Answer(raw, pace=pace))
    async with RawClient(lane.address) as client:
        for _ in range(2):  # the second over a kept connection
            reply = await client.ask(request_bytes(TARGET, lane.key, ask))
            assert (reply.status, reply.ended, reply.body) == (200, "complete", body)
            assert reply.value(b"content-encoding") == code.encode()
    for record in await lane.settled(2):
        assert (record.outcome, record.usage_source, record.input_tokens,
                record.output_tokens) == ("completed", *seen)


@pytest.mark.parametrize("kind", [JSON, SSE])
def test_what_grows_out_of_all_proportion_is_not_read(kind: bytes) -> None:
    limit = 64 << 20
    it = tap(b"gzip", kind, limit=limit)
    bomb = gzip.compress(b"[" * limit)
    assert it.feed(bomb) is bomb
    assert len(bomb) * RATIO_MAX + ROOM_BYTES + STEP_BYTES < limit and it._left == -1
    assert it.finish(True) == Report(None, True, None, True)
    text = b"".join(b"%d words of a usual text\n" % number for number in range(200_000))
    it = tap(b"gzip", JSON, limit=limit)
    it.feed(gzip.compress(text))
    assert it.whole and it._left == limit - len(text)


@pytest.mark.parametrize("kind", [JSON, SSE])
def test_what_comes_behind_the_end_is_neither_read_nor_kept(kind: bytes) -> None:
    it = tap(b"gzip", kind)
    it.feed(gzip.compress(CUT if kind == SSE else ANSWER))
    for _ in range(3):
        assert len(it.feed(b"x" * 70_000)) == 70_000
    assert not it._inflater.unused_data
    assert it.finish(True) == Report(None if kind == SSE else Usage(3, 2), True, None, True)


def flushed(inside: bytes) -> bytes:
    """As a server has it that ends without the end of what it compresses."""
    compressor = zlib.compressobj(wbits=31)
    return compressor.compress(inside) + compressor.flush(zlib.Z_SYNC_FLUSH)


@pytest.mark.parametrize("pace", ["once", "segments-20"])
@pytest.mark.parametrize(("body", "ended", "outcome"), [
    (flushed(EVENTS), "complete", "completed"), (flushed(CUT), "closed", "provider_truncated"),
    (gzip.compress(CUT, mtime=0)[:-9], "closed", "provider_truncated"),
    (b"no gzip", "complete", "completed"),  # who knows what that is
])
async def test_a_stream_that_ends_inside_the_compressed_is_whole_with_its_last_event_alone(
    opened: Opened, body: bytes, ended: str, outcome: str, pace: str,
) -> None:
    raw = message(body, "text/event-stream", fields=(("Content-Encoding", "gzip"),), chunked=True)
    lane = await opened(lambda _: Answer(raw, pace=pace))
    reply = await ask(lane.address, request_bytes(TARGET, lane.key, STREAM))
    assert (reply.status, reply.ended, reply.body) == (200, ended, body)
    [record] = await lane.settled(1)
    assert record.outcome == outcome


@pytest.mark.parametrize("pace", ["once", "segments-20"])
@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize(("inside", "more", "chunked", "ended", "outcome"), [
    (EVENTS, b"", True, "complete", "completed"), (CUT, b"", True, "closed", "provider_truncated"),
    (CUT, b"", False, "complete", "provider_truncated"),
    (b"", b"", True, "closed", "provider_truncated"),
    (CUT, b"more", True, "complete", "completed"),  # who knows what that is
])
async def test_a_stream_that_was_cut_has_no_clean_end(
    opened: Opened, inside: bytes, more: bytes, chunked: bool, ended: str, outcome: str,
    coding: bytes, pace: str,
) -> None:
    body = CODINGS[coding](inside) + more
    raw = message(body, "text/event-stream", fields=(("Content-Encoding", coding.decode()),),
                  chunked=chunked)
    lane = await opened(lambda _: Answer(raw, pace=pace))
    reply = await ask(lane.address, request_bytes(TARGET, lane.key, STREAM))
    assert (reply.status, reply.ended, reply.body) == (200, ended, body)
    [record] = await lane.settled(1)
    assert record.outcome == outcome
