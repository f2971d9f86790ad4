"""Taps: what the client gets, and what is reported. The corpus is in tests/wire/test_corpus.py."""

from __future__ import annotations

import base64
import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from relayd.core.errors import ERRORS
from relayd.core.usage import Beside, Usage
from relayd.ops.config import ServerConfig
from relayd.relay.tap import (
    BATCH_BYTES, BATCH_READS, BatchTap, JsonTap, Report, Tap, read_whole, tap_for, usage_in_error,
)
from relayd.wire.demand import IMAGE_TOKENS
from relayd.wire.dialect import BY_OPERATION
from relayd.wire.replytext import ARGUMENTS, CONTENT, NAME
from relayd.wire.sse import EVENT_BYTES_MAX
from tests.fakes.splits import cut, one_by_one, places
from tests.fakes.texts import Texts
from tests.shared import shared

SSE = b"text/event-stream; charset=utf-8"
JSON = b"application/json"
LIMIT = 1 << 20


def tap(
    operation: str = "chat", content_type: bytes = SSE, *, counter: Texts | None = None,
    withhold: bool = False, status: int = 200, limit: int = LIMIT,
) -> Tap:
    return tap_for(BY_OPERATION[operation], content_type, status, withhold_usage=withhold,
                   counter=counter, limit=limit)


def run(it: Tap, pieces: list[bytes]) -> tuple[bytes, Report]:
    passed = b"".join([it.feed(piece) for piece in pieces]) + it.flush()
    return passed, it.finish(True)


def chat(**fields: object) -> bytes:
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


def said(text: str, finish: str | None = None) -> bytes:
    return chat(choices=[{"index": 0, "delta": {"content": text}, "finish_reason": finish}],
                usage=None)


USAGE = chat(choices=[], usage={"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10})
DONE = b"data: [DONE]\n\n"
FILTERS = chat(choices=[], id="", prompt_filter_results=[{"prompt_index": 0}])

STREAMS = {
    "chat": FILTERS + said("he") + b": hold\n\n" + said("llo", "stop") + USAGE + DONE,
    "completions": chat(choices=[{"text": "he"}]) + chat(
        choices=[{"text": "llo", "finish_reason": "length"}]) + USAGE + DONE,
    "responses": b"".join(
        b"event: %b\ndata: %b\n\n" % (name.encode(), json.dumps({"type": name} | fields).encode())
        for name, fields in [
            ("response.created", {"response": {"usage": None}}),
            ("response.output_text.delta", {"delta": "he", "output_index": 0}),
            ("response.output_text.delta", {"delta": "llo", "output_index": 0}),
            ("response.completed", {"response": {
                "usage": {"input_tokens": 7, "output_tokens": 3}}}),
        ]),
    "messages": b"".join(
        b"event: %b\ndata: %b\n\n" % (fields["type"].encode(), json.dumps(fields).encode())
        for fields in [
            {"type": "message_start", "message": {
                "usage": {"input_tokens": 7, "output_tokens": 1}}},
            {"type": "ping"},
            {"type": "content_block_delta", "index": 0, "delta": {"text": "he"}},
            {"type": "content_block_delta", "index": 0, "delta": {"text": "llo"}},
            {"type": "message_delta", "usage": {"output_tokens": 3}},
            {"type": "message_stop"},
        ]),
    "stream_generate": b"".join(
        b"data: %b\r\n\r\n" % json.dumps({
            "candidates": [{"content": {"parts": [{"text": text}]}, "finishReason": reason}],
            "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": count}}).encode()
        for text, reason, count in [("he", None, 1), ("llo", "STOP", 3)]),
    "transcription": b'data: {"type":"transcript.text.delta","delta":"hello"}\r\n\r\n'
                     b'data: {"type":"transcript.text.done","text":"hello",'
                     b'"usage":{"input_tokens":7,"output_tokens":3}}\r\n\r\n',
}
SEEN = Report(Usage(7, 3), True, None, True)
NOTHING = Report(None, True, None, True)


@pytest.mark.parametrize("operation", STREAMS)
@given(where=places)
def test_streams_pass_and_are_read_however_they_are_cut(operation: str, where: list[int]) -> None:
    stream = STREAMS[operation]
    for pieces in ([stream], cut(stream, where), one_by_one(stream)):
        texts = Texts()
        assert run(tap(operation, counter=texts), pieces) == (stream, SEEN)
        assert texts.streams == {CONTENT: "hello"}
        assert run(tap(operation), pieces) == (stream, SEEN)


@pytest.mark.parametrize("operation", STREAMS)
def test_what_is_fed_is_given_back_itself(operation: str) -> None:
    for content_type in (SSE, JSON, b"audio/mpeg", b"text/plain", b""):
        it = tap(operation, content_type, counter=Texts())
        assert it.passes_all
        for piece in cut(STREAMS[operation], [5, 50, 100]):
            assert it.feed(piece) is piece
        assert it.flush() == b""


@pytest.mark.parametrize("withhold", [False, True])
@given(where=places, framed=st.lists(st.booleans(), min_size=1))
def test_reads_that_wait_with_their_framing_are_read_as_others(
    withhold: bool, where: list[int], framed: list[bool]
) -> None:
    stream = said("a") * 20 + STREAMS["chat"]
    for pieces in (cut(stream, where), [e + b"\n\n" for e in stream.split(b"\n\n")[:-1]]):
        it, texts = tap(counter=(found := Texts()), withhold=withhold), Texts()
        assert isinstance(it, BatchTap)
        passed = b""
        for number, piece in enumerate(pieces):
            chunk = b"%x\r\n%b\r\n" % (len(piece), piece)
            if framed[number % len(framed)] and piece and (
                    not withhold or it.is_harmless(chunk, b"\n\n\r\n")):
                it.chunks.append(chunk)
                passed += piece
            else:
                passed += it.feed(piece)
        ends = passed + it.flush(), it.finish(True)
        assert ends == run(tap(counter=texts, withhold=withhold), pieces)
        assert ends == (stream.replace(USAGE, b"") if withhold else stream, SEEN)
        assert found.streams == texts.streams


def test_boundaries() -> None:
    it = tap()
    assert it.at_boundary
    for piece, boundary in [(said("a"), True), (b"data: {", False), (b"}\n", False), (b"\n", True),
                            (b": c", False), (b"\r\n\r", True), (b"\n", True)]:
        it.feed(piece)
        assert it.at_boundary is boundary
    assert not tap(content_type=JSON).at_boundary and not tap(content_type=b"").at_boundary


def test_dull_events_are_told_from_what_only_begins_like_them() -> None:
    delta = b'event: content_block_delta\ndata: {"delta":{"text":"a"}}\n\n'
    stop = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    for chunk, ended, boundary in [
        (delta, False, True), (delta[:-1], False, False), (delta + stop, True, True),
        (delta[:-2] + b'\ndata: {"type":"message_stop"}\n\n', False, True),
        (delta[:40] + b"\n", False, False), (delta + stop[:-1], False, False),
    ]:
        it = tap("messages")
        assert it.feed(chunk) is chunk and it.at_boundary is boundary
        assert it.finish(False).ended is ended


# withholding

@pytest.mark.parametrize("ends", [b"\n", b"\r\n", b"\r"])
@given(where=places, late=st.booleans())
def test_the_usage_event_is_withheld_however_it_is_cut(
    ends: bytes, where: list[int], late: bool
) -> None:
    after = (said("!") if late else b"") + b"\n\n" + DONE
    before = FILTERS + said("he") + b": hold\n\n" + said("llo", "stop")
    stream = (before + USAGE + after).replace(b"\n", ends)
    kept = (before + after).replace(b"\n", ends)
    for pieces in ([stream], cut(stream, where), one_by_one(stream)):
        for counter in (None, Texts()):
            passed, report = run(tap(withhold=True, counter=counter), pieces)
            assert passed == kept and report.usage == Usage(7, 3) and report.ended


def test_whole_events_pass_at_once_and_as_the_same_object() -> None:
    it = tap(withhold=True)
    assert not it.passes_all
    for piece in (FILTERS, said("a"), said("a") + said("b"), b": c\n\n", b"\n", b"data: x\r\n\r\n",
                  DONE, b""):
        assert it.feed(piece) is piece and it.at_boundary
    assert it.feed(USAGE) == b"" and it.feed(said("a") + USAGE + DONE) == said("a") + DONE


def test_an_unfinished_event_is_held_and_the_client_stays_between_events() -> None:
    it = tap(withhold=True)
    assert it.feed(said("a") + USAGE[:9]) == said("a") and it.at_boundary
    assert it.feed(USAGE[9:20]) == b"" and it.at_boundary
    assert it.feed(USAGE[20:] + DONE[:4]) == b"" and it.at_boundary
    assert it.feed(DONE[4:]) == DONE and it.at_boundary and it.flush() == b""


@pytest.mark.parametrize("event", [
    FILTERS, said("a"), chat(choices=[{"delta": {}}], usage={"prompt_tokens": 1}),
    chat(choices=[], usage=None), chat(choices=[], usage=[7, 3]), chat(usage={"prompt_tokens": 1}),
    chat(choices=[], usage={"prompt_tokens": 1}, error={"message": "x"}), b"data: {not json\n\n",
    b"data: <html>\n\n", b"\xff\xfe\n\n",
])
def test_all_other_events_pass(event: bytes) -> None:
    it = tap(withhold=True)
    assert run(it, one_by_one(event))[0] == event
    assert tap(withhold=True).feed(event) is event


def test_a_long_event_passes_as_it_comes() -> None:
    event = said("x" * (EVENT_BYTES_MAX + 200_000))
    pieces = [event[place:place + 65536] for place in range(0, len(event), 65536)]
    it = tap(withhold=True)
    passed = [it.feed(piece) for piece in pieces[:-1]]
    assert not it.at_boundary and passed[:10] == [b""] * 10
    assert passed[-1] is pieces[-2]
    assert b"".join(passed) + it.feed(pieces[-1]) == event and it.at_boundary
    assert it.feed(said("a") + USAGE) == said("a")
    assert it.finish(True).usage == Usage(7, 3)


@pytest.mark.parametrize("withhold", [True, False])
def test_a_stream_that_stops_within_a_long_event_has_not_ended(withhold: bool) -> None:
    event = said("x" * EVENT_BYTES_MAX)
    for data, ended in ((event[:-3], False), (event, True), (event + said("a")[:-9], True),
                        (event + said("a"), False), (event + said("a", "stop"), True)):
        it = tap(withhold=withhold)
        it.feed(data)
        it.flush()
        assert it.finish(True).ended is ended


@pytest.mark.parametrize("counted", [True, False])
def test_a_long_event_was_not_the_last_where_text_came_that_is_not_counted(counted: bool) -> None:
    """As a page that a tool has fetched, in a Messages stream that breaks off behind it."""
    name, text = b"content_block_delta", b'{"type":"text_delta","text":"a"}'
    delta = b'event: %b\ndata: {"type":"%b","index":0,"delta":%b}\n\n' % (name, name, text)
    it = tap("messages", counter=Texts() if counted else None)
    it.feed(b'event: content_block_start\ndata: {"x":"%b"}\n\n' % (b"x" * EVENT_BYTES_MAX))
    it.feed(delta)
    assert not it.finish(True).ended


def test_flush_gives_what_was_held_when_the_stream_broke_off() -> None:
    it = tap(withhold=True)
    assert it.feed(said("a") + b'data: {"choi') == said("a")
    assert it.flush() == b'data: {"choi' and not it.at_boundary and it.flush() == b""
    assert it.finish(False) == Report(None, False, None, True)


@pytest.mark.parametrize("end", [b"", b"\n", b"\r"])
def test_a_usage_event_without_its_end_is_withheld_too(end: bytes) -> None:
    it = tap(withhold=True)
    assert it.feed(USAGE[:-2] + end) == b"" and it.flush() == b"" and it.at_boundary
    assert it.finish(True).usage == Usage(7, 3)


# how streams end

@pytest.mark.parametrize(("stream", "ended"), [
    (b"", False), (said("a"), False), (said("a", "stop"), True), (said("a") + DONE, True),
    (said("a") + DONE[:-2], True), (said("a") + DONE[:-4], False), (DONE + said("b"), True),
])
def test_chat_ends(stream: bytes, ended: bool) -> None:
    assert run(tap(), [stream])[1].ended is ended
    assert run(tap(withhold=True), one_by_one(stream))[1].ended is ended


def test_what_breaks_off_inside_its_last_event_has_not_ended() -> None:
    it = tap()
    it.feed(said("a") + DONE[:-2])
    assert not it.finish(False).ended


@pytest.mark.parametrize(("operation", "event"), [
    ("chat", chat(error={"message": "x"})),
    ("chat", b'event: error\ndata: {"error":{"message":"x"}}\n\n'),
    ("chat", b"event: error\ndata: overloaded\n\n"),
    ("responses", b'event: error\ndata: {"type":"error","message":"x"}\n\n'),
    ("messages", b'event: error\ndata: {"type":"error","error":{"type":"api_error"}}\n\n'),
    ("stream_generate", b'data: {"error":{"code":503}}\r\n\r\n'),
])
def test_errors_in_a_stream(operation: str, event: bytes) -> None:
    for pieces in ([event], one_by_one(event)):
        passed, report = run(tap(operation), pieces)
        assert passed == event and report.error == "provider_stream_error" in ERRORS


def test_cumulative_usage_is_not_summed() -> None:
    events = [chat(choices=[{"delta": {}}], usage={"prompt_tokens": 7, "completion_tokens": count})
              for count in (1, 2, 3)]
    assert run(tap(), events)[1].usage == Usage(7, 3)


@pytest.mark.parametrize(("operation", "early"), [
    ("chat", None), ("responses", None), ("messages", Usage(7, 1)),
    ("stream_generate", Usage(7, 1)),
])
def test_usage_so_far(operation: str, early: Usage | None) -> None:
    stream = STREAMS[operation]
    cut_at = stream.index(b"llo")
    it = tap(operation, counter=Texts())
    assert it.usage_so_far() is None
    it.feed(stream[:cut_at])
    assert it.usage_so_far() == early
    it.feed(stream[cut_at:])
    assert it.usage_so_far() == Usage(7, 3)


def test_usage_so_far_of_an_array() -> None:
    it = tap("stream_generate", JSON)
    it.feed(b"[" + json.dumps(REPLIES["generate"]).encode() + b",")
    assert it.usage_so_far() == Usage(7, 3)
    assert tap(content_type=JSON).usage_so_far() is None  # read when it has come whole


def test_an_early_report_does_not_cover_the_text_behind_it() -> None:
    stream = STREAMS["messages"]
    for end, covers in ((b"he", True), (b'{"type": "message_delta"', False), (b"}", True)):
        it = tap("messages", counter=Texts())
        it.feed(stream[:stream.rindex(end) + len(end)])
        assert it.finish(False).covers is covers


@pytest.mark.parametrize(("operation", "body", "usage"), [
    ("chat", b'{"error":{"message":"x"},"usage":{"prompt_tokens":7,"completion_tokens":0}}',
     Usage(7)),
    ("messages", b'{"type":"error","error":{"type":"api_error"}}', None),
    ("chat", b"<html>", None), ("count_tokens", b'{"input_tokens":7}', None),
])
def test_usage_in_an_error(operation: str, body: bytes, usage: Usage | None) -> None:
    assert usage_in_error(BY_OPERATION[operation], body) == usage


def test_images_come_in_long_events() -> None:
    event = b'data: {"type":"image_generation.completed","b64_json":"%b",' \
            b'"usage":{"input_tokens":7,"output_tokens":3}}\n\n' % (b"A" * (EVENT_BYTES_MAX + 1))
    report = run(tap("image_generation", limit=4 << 20), cut(event, [9, 1 << 16]))[1]
    assert report == replace(SEEN, usage=Usage(7, 3, image_output_tokens=3, images=1))
    assert run(tap("image_generation", limit=LIMIT), [event])[1].usage is None


LONG = {
    "responses": b'event: response.completed\ndata: {"type":"response.completed","response":{'
                 b'"output":[{"type":"image_generation_call","result":"%b"}],'
                 b'"usage":{"input_tokens":7,"output_tokens":3}}}\n\n',
    "stream_generate": b'data: {"candidates":[{"content":{"parts":[{"inlineData":{"data":"%b"}}]},'
                       b'"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":7,'
                       b'"candidatesTokenCount":3}}\r\n\r\n',
}


@pytest.mark.parametrize("operation", ["image_generation", "image_edit", "speech"])
@pytest.mark.parametrize("events", [1, 3])
def test_short_events_of_pictures_and_sound_pass(operation: str, events: int) -> None:
    """Alone in a read, and several in one."""
    event = b'data: {"type":"x","b64_json":"AAAA"}\n\n' * events
    assert run(tap(operation), [event] * 4)[0] == event * 4


@pytest.mark.parametrize("operation", ["chat", "completions", "messages"])
def test_an_event_of_text_has_its_own_bound(operation: str) -> None:
    event = b'data: {"x":"%b",' % (b"A" * EVENT_BYTES_MAX) + USAGE[7:]
    assert run(tap(operation, limit=4 << 20), [event])[1] == NOTHING


def test_what_waits_to_be_read_is_bounded() -> None:
    read = tap()
    assert isinstance(read, BatchTap)
    waiting = []
    for size in [9] * BATCH_READS + [9, BATCH_BYTES - len(said(""))]:
        read.feed(said("x" * size))
        waiting.append(len(read._waiting))
    assert waiting == [*range(1, BATCH_READS), 0, 1, 2]
    read.feed(said("x" * BATCH_BYTES))
    assert read._waiting == []


def test_of_what_is_above_the_limit_nothing_is_kept() -> None:
    read = tap(content_type=JSON, limit=10)
    assert isinstance(read, JsonTap)
    kept = []
    for _ in range(4):
        read.feed(b"12345")
        kept.append(len(b"".join(read._pieces)))
    assert kept == [5, 10, 0, 0]


@pytest.mark.parametrize("operation", LONG)
@pytest.mark.parametrize("counter", [None, Texts()])
def test_a_last_event_may_carry_images(operation: str, counter: Texts | None) -> None:
    event = LONG[operation] % (b"A" * (EVENT_BYTES_MAX + 1))
    pieces = cut(event, [9, 1 << 16])
    read = tap(operation, limit=4 << 20, counter=counter)
    assert run(read, pieces)[1] == SEEN
    assert run(tap(operation, limit=LIMIT), pieces)[1] == NOTHING
    if operation == "stream_generate":
        pieces = [b"[", event[6:-4], b"]"]
        read = tap(operation, b"application/json", limit=4 << 20, counter=counter)
        assert run(read, pieces)[1] == SEEN
        read = tap(operation, b"application/json", limit=LIMIT, counter=counter)
        assert run(read, pieces)[1] == NOTHING


# replies that are no event stream

REPLIES = {
    "chat": {"choices": [{"index": 0, "message": {"content": "hello"}}],
             "usage": {"prompt_tokens": 7, "completion_tokens": 3}},
    "responses": {"output": [{"type": "message", "content": [{"text": "hello"}]}],
                  "usage": {"input_tokens": 7, "output_tokens": 3}},
    "messages": {"content": [{"type": "text", "text": "hello"}],
                 "usage": {"input_tokens": 7, "output_tokens": 3}},
    "generate": {"candidates": [{"content": {"parts": [{"text": "hello"}]}}],
                 "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 3}},
    "transcription": {"text": "hello", "usage": {"input_tokens": 7, "output_tokens": 3}},
}


@pytest.mark.parametrize("operation", REPLIES)
@given(where=places)
def test_json_replies(operation: str, where: list[int]) -> None:
    body = json.dumps(REPLIES[operation]).encode()
    for pieces in ([body], cut(body, where), one_by_one(body)):
        texts = Texts()
        assert run(tap(operation, JSON, counter=texts), pieces) == (body, SEEN)
        assert texts.streams == {CONTENT: "hello"}
        assert run(tap(operation, JSON), pieces) == (body, SEEN)


WHOLE = [json.dumps(reply).encode() for reply in REPLIES.values()] + [
    b"", b"[]", b"not json", b'{"error":{"code":503}}', b'[{"error":{"code":503}}]', "é".encode(),
    b'{"choices":[{"message":{"content":"a","refusal":"\\ud83d"}}]}',
    b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n',
    b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}],"usage":'
    b'{"prompt_tokens":7,"completion_tokens":3}}\n\ndata: [DONE]\n\n']


@given(operation=st.sampled_from(sorted(BY_OPERATION)), body=st.sampled_from(WHOLE),
       kind=st.sampled_from([JSON, b"application/json; charset=utf-8", b"text/plain", b"audio/wav",
                             b""]), short=st.booleans(), counted=st.booleans())
def test_a_whole_reply_is_read_as_its_tap_would(
    operation: str, body: bytes, kind: bytes, short: bool, counted: bool
) -> None:
    limit = len(body) - short
    one, other = Texts(), Texts()
    found = run(tap(operation, kind, counter=one if counted else None, limit=limit), [body])[1]
    assert read_whole(BY_OPERATION[operation], kind, body, other if counted else None,
                      limit) == found
    assert one.streams == other.streams


@given(places)
def test_gemini_streams_as_an_array(where: list[int]) -> None:
    body = json.dumps([REPLIES["generate"], {"candidates": [{"finishReason": "STOP", "content": {
        "parts": [{"functionCall": {"name": "f", "args": {"a": "}"}}}]}}]}], indent=2).encode()
    for pieces in ([body], cut(body, where), one_by_one(body)):
        texts = Texts()
        assert run(tap("stream_generate", JSON, counter=texts), pieces) == (
            body, replace(SEEN, covers=False))
        assert (texts.kind(CONTENT), texts.kind(NAME)) == ("hello", "f")
        assert texts.kind(ARGUMENTS) == '{"a":"}"}'


NAMELESS = (b"", b"text/plain; charset=utf-8", b"text/json", b"text/html",
            b"application/octet-stream", b"application/x-ndjson")
"""What replies call themselves whose servers do not say what they are."""


@pytest.mark.parametrize("kind", NAMELESS)
def test_json_that_is_called_otherwise(kind: bytes) -> None:
    body = json.dumps(REPLIES["chat"]).encode()
    texts = Texts()
    assert run(tap("chat", kind, counter=texts), [body]) == (body, SEEN)
    assert texts.streams == {CONTENT: "hello"}
    assert run(tap("chat", kind), [b"no JSON"])[1] == Report(None, True, None, True)
    assert run(tap("chat", kind), [b"\n\n", body])[1] == SEEN


@pytest.mark.parametrize("kind", NAMELESS)
@pytest.mark.parametrize("operation", ["chat", "responses", "messages", "stream_generate"])
def test_events_that_are_called_otherwise(operation: str, kind: bytes) -> None:
    stream = STREAMS[operation]
    for whole in (stream, b": hello\n\n" + stream, b"\n" + stream):
        texts = Texts()
        passed, report = run(tap(operation, kind, counter=texts), [whole])
        assert passed == whole and report.usage == SEEN.usage and report.ended
        assert texts.streams == {CONTENT: "hello"}
    failed = b'data: {"error":{"code":503}}\n\n'
    assert run(tap("chat", kind), [failed])[1].error == "provider_stream_error"


def test_an_error_in_an_array() -> None:
    report = run(tap("stream_generate", JSON), [b'[{"error":{"code":503}}]'])[1]
    assert report.error == "provider_stream_error" and not report.ended


def test_a_large_json_reply() -> None:
    reply = json.dumps(REPLIES["chat"] | {"filler": "x" * (16 << 20)}).encode()
    usage = reply.rindex(b', "filler"')
    reply = b'{"filler"' + reply[usage + 10:-1] + b"," + reply[1:usage] + b"}"
    pieces = [reply[place:place + 65536] for place in range(0, len(reply), 65536)]
    config = ServerConfig(json_reply_bytes_max=32 << 20)
    assert run(tap(content_type=JSON, limit=config.json_reply_bytes_max), pieces) == (
        reply, SEEN)
    config = ServerConfig(json_reply_bytes_max=15 << 20)
    passed, report = run(tap(content_type=JSON, limit=config.json_reply_bytes_max), pieces)
    assert passed == reply and report == NOTHING


def test_a_json_reply_that_broke_off_is_not_read() -> None:
    it = tap(content_type=JSON)
    it.feed(json.dumps(REPLIES["chat"]).encode())
    assert it.finish(False) == Report(None, False, None, True)


def test_an_error_in_a_json_reply() -> None:
    report = run(tap(content_type=JSON), [b'{"error":{"message":"x"}}'])[1]
    assert report.error == "provider_failed" in ERRORS


@pytest.mark.parametrize("body", [
    b"not json", b'{"usage":' + b"[" * 100_000 + b"]" * 100_000 + b"}", b"", b"[]",
])
def test_json_that_is_none_passes(body: bytes) -> None:
    assert run(tap(content_type=JSON, counter=Texts()), [body]) == (
        body, NOTHING)


def test_plain_words_are_text() -> None:
    texts = Texts()
    body = "h\u00e9llo\n".encode()
    passed, report = run(tap("transcription", b"text/plain; charset=utf-8", counter=texts),
                         one_by_one(body))
    assert passed == body and texts.streams == {CONTENT: "h\u00e9llo\n"}
    assert report == Report(Beside(audio_seconds=1), True, None, covers=False)


def test_subtitles_are_text_by_any_name_and_where_nothing_is_counted() -> None:
    body = b"1\n00:00:01,000 --> 00:00:09,000\na\n"
    for content_type in (b"text/vtt", b"text/plain", b"application/x-subrip"):
        assert run(tap("transcription", content_type), [body]) == (
            body, replace(NOTHING, usage=Beside(audio_seconds=9)))


@pytest.mark.parametrize("operation", ["image_generation", "image_edit"])
def test_an_image_that_is_half_there_is_taken_for_a_usual_one(operation: str) -> None:
    """Who took it and left before the last event had it for nothing."""
    it = tap(operation)
    part = b'data: {"type":"%b.partial_image","b64_json":"AAAA"}\n\n' % operation.encode()
    it.feed(part.replace(b"partial_image", b"other"))
    assert it.usage_so_far() is None
    it.feed(part)
    it.feed(part)
    half = Beside(output_tokens=IMAGE_TOKENS, image_output_tokens=IMAGE_TOKENS)
    assert it.usage_so_far() == half
    it.feed(part.replace(b"partial_image", b"completed"))
    assert it.finish(True).usage == Beside(images=1)


@pytest.mark.parametrize("told", [True, False])
def test_the_sound_of_a_chat_is_taken_by_its_length_until_tokens_are_told(told: bool) -> None:
    """Who left before the last event paid for the written words alone."""
    texts = Texts()
    it = tap(counter=texts)
    audio = base64.b64encode(bytes(96_000)).decode()
    for more in ({"transcript": "he"}, {"data": audio}, {"data": audio}, {"data": 7}):
        it.feed(chat(choices=[{"index": 0, "delta": {"audio": {"id": "x", **more}}}]))
    if told:
        it.feed(USAGE)
    usage = Usage(7, 3) if told else Beside(output_tokens=80, audio_output_tokens=80)
    assert it.usage_so_far() == usage and it.finish(False).usage == usage
    assert texts.kind(CONTENT) == "he"


@pytest.mark.parametrize("told", [True, False])
def test_speech_as_events_is_as_long_as_what_passed_until_tokens_are_told(told: bool) -> None:
    """Who left before the last event paid for the text alone."""
    audio = base64.b64encode(bytes(96_000)).decode()
    it = tap("speech")
    it.feed(b'data: {"type":"speech.audio.delta","audio":"%b"}\n\n' % audio.encode())
    if told:
        it.feed(b'data: {"type":"speech.audio.done","usage":'
                b'{"input_tokens":7,"output_tokens":42,"total_tokens":49}}\n\n')
    usage = Usage(7, 42) if told else Beside(audio_seconds=2)
    assert it.usage_so_far() == usage and it.finish(False).usage == usage


@pytest.mark.parametrize("content_type", [b"audio/mpeg", b"audio/pcm", b""])
def test_of_a_sound_file_its_seconds_are_read(content_type: bytes) -> None:
    texts = Texts()
    body = bytes(96_000)
    assert run(tap("speech", content_type, counter=texts), [body]) == (
        body, replace(NOTHING, usage=Beside(audio_seconds=2)))
    assert not texts.streams


@pytest.mark.parametrize(("operation", "content_type", "status"), [
    ("speech", b"text/html", 200), ("speech", b"audio/mpeg", 400), ("chat", JSON, 429),
    ("chat", SSE, 500),
    ("count_tokens", JSON, 200), ("count", JSON, 200),
])
def test_what_is_not_read(operation: str, content_type: bytes, status: int) -> None:
    texts = Texts()
    body = json.dumps(REPLIES["chat"] | {"input_tokens": 5}).encode()
    it = tap(operation, content_type, counter=texts, status=status)
    assert run(it, [body]) == (body, NOTHING) and not texts.streams
    assert not it.finish(False).ended


@pytest.mark.parametrize("content_type", [
    b"application/json", b"Application/JSON;charset=UTF-8", b"application/vnd.x+json"])
def test_media_types_of_json(content_type: bytes) -> None:
    assert run(tap(content_type=content_type), [json.dumps(REPLIES["chat"]).encode()])[1] == SEEN


def test_no_repr_shows_content() -> None:
    for content_type, withhold in ((SSE, False), (SSE, True), (JSON, False)):
        it = tap(content_type=content_type, withhold=withhold, counter=Texts())
        it.feed(said("canary")[:-1])
        assert "canary" not in repr(it) + repr(it.finish(True))


# the cases of hostile providers

UNTRUSTED = ["usage-negative", "usage-null", "usage-list", "usage-bool", "usage-two63",
             "usage-ten-pow-400"]


def response_cases(group: str) -> dict[str, tuple[bytes, str]]:
    """The bodies of raw chunked or plain responses by name, with what may be charged."""
    cases = {}
    with shared("http-cases", "responses.jsonl").open() as lines:
        for line in lines:
            case = json.loads(line)
            if case["group"] == group:
                raw = base64.b64decode(case["raw_b64"]) if "raw_b64" in case else gzip.decompress(
                    base64.b64decode(case["raw_gz_b64"]))
                cases[case["name"]] = (body_of(raw), case["expect"].get("ledger"))
    return cases


def body_of(raw: bytes) -> bytes:
    head, _, rest = raw.partition(b"\r\n\r\n")
    if b"chunked" not in head.lower():
        return rest
    pieces = []
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size.partition(b";")[0] or b"0", 16)
        pieces.append(rest[:length])
        rest = rest[length + 2:] if length else b""
    return b"".join(pieces)


@pytest.mark.parametrize("group", ["sse", "json"])
def test_hostile_replies(group: str) -> None:
    for name, (body, ledger) in response_cases(group).items():
        content_type = JSON if group == "json" else SSE
        texts = Texts()
        pieces = [body[place:place + 4096] for place in range(0, len(body), 4096)]
        passed, report = run(tap(content_type=content_type, counter=texts, limit=1 << 25), pieces)
        assert passed == body, name
        if name in UNTRUSTED:
            assert report.usage is None and texts.kind(CONTENT) == "hello", name
        if ledger == "7 in, 3 out" or name in ("invalid-utf8", "bytes-after-done"):
            assert report.usage == Usage(7, 3), name


def test_control_streams() -> None:
    for name, (body, ledger) in response_cases("control").items():
        if name.startswith("sse"):
            for pieces in ([body], one_by_one(body[:20000]) + [body[20000:]]):
                passed, report = run(tap(counter=Texts()), [piece for piece in pieces if piece])
                assert passed == body and report.ended, name
                if ledger == "7 in, 3 out":
                    assert report.usage == Usage(7, 3), name
