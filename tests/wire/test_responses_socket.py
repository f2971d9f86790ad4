"""The messages of Responses over WebSocket, and replies over HTTP as events."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import Response
from openai.types.responses.responses_server_event import ResponseWsError

from relayd.core.errors import RelayError
from relayd.wire.responses_socket import (
    ANSWER_BYTES_MAX, EVENT_BYTES_MAX, ReplyReader, error_event, read_create, warm_up,
)

EVENTS = [b'{"type": "a", "delta": "\xc3\xa9 \\n"}', b'{"type":"b"}', b'{"type":"c",  "x":1}']
HEAD = (b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
        b"x-request-id: call\r\ntransfer-encoding: chunked\r\n\r\n")


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def whole(status: int, body: bytes, *fields: bytes) -> bytes:
    lines = b"".join(field + b"\r\n" for field in fields)
    return b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\n%bcontent-length: %d\r\n\r\n%b" % (
        status, lines, len(body), body)


def test_the_body_is_the_message_without_its_own_members() -> None:
    asked = read_create(
        b'{"input": [ {"n": 1.50, "big": 123456789012345678901234567890} ], "event_id": "e",'
        b' "type": "response.create", "generate": null, "stream": false, "model": "m",'
        b' "previous_response_id": null, "stream_id": null}')
    assert asked == (
        b'{"input":[ {"n": 1.50, "big": 123456789012345678901234567890} ],"model":"m",'
        b'"stream":true}', True, "m")


@pytest.mark.parametrize("member, body", [
    ('"previous_response_id":""', b'{"model":"m","stream":true}'),
    ('"previous_response_id":"r"', b'{"model":"m","previous_response_id":"r","stream":true}'),
    ('"x":"\\ud800"', b'{"model":"m","x":"\\ud800","stream":true}'),
    ('"background":false', b'{"model":"m","background":false,"stream":true}'),
])
def test_what_passes_into_the_body(member: str, body: bytes) -> None:
    raw = '{"type":"response.create","model":"m",%s}' % member
    assert read_create(raw.encode()).body == body


def test_a_warm_up_is_known() -> None:
    assert not read_create(b'{"type":"response.create","generate":false}').generate
    assert read_create(b'{"type":"response.create","generate":true}').generate


@given(st.binary() | st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(
        st.sampled_from(["type", "generate", "model", "stream_id", "input"]),
        inner | st.just("response.create"))).map(lambda value: json.dumps(value).encode()))
def test_any_message_is_read_or_refused(payload: bytes) -> None:
    try:
        asked = read_create(payload)
    except RelayError as error:
        assert error.code in ("invalid_json", "unknown_event", "invalid_field")
    else:
        assert asked.body.endswith(b'"stream":true}')


@pytest.mark.parametrize("payload", [
    b'{"type":"response.create","generate":1e400}', b'{"type":"response.create","generate":0}',
    b'{"type":"response.create","generate":"false"}',
])
def test_generate_is_a_boolean(payload: bytes) -> None:
    with pytest.raises(RelayError) as refused:
        read_create(payload)
    assert refused.value.code in ("invalid_field", "invalid_json")


def test_a_warm_up_is_a_response_of_nothing() -> None:
    created, completed = map(json.loads, warm_up("m", 7))
    assert (created["type"], created["response"]["status"]) == ("response.created", "in_progress")
    assert created["response"]["usage"] is None
    assert (completed["type"], completed["sequence_number"]) == ("response.completed", 1)
    found = Response.model_validate(completed["response"])  # the official SDK's own type
    assert (found.id, found.output, found.model, found.created_at) == ("", [], "m", 7)
    assert found.usage is not None and found.usage.total_tokens == 0


def test_an_error_has_what_clients_look_at() -> None:
    told = json.loads(error_event(RelayError("rate_limited", retry_after_seconds=3), "call"))
    assert (told["type"], told["status"]) == ("error", 429)
    assert told["error"]["code"] == "rate_limit_exceeded"
    assert told["headers"] == told["error"]["headers"] == {
        "retry-after": "3", "retry-after-ms": "3000", "x-request-id": "call"}


@given(st.lists(st.integers(1, 200), max_size=20), st.lists(st.integers(1, 200), max_size=20))
def test_events_pass_byte_for_byte_however_they_are_cut(
    reads: list[int], writes: list[int]
) -> None:
    body = b": hello\n\n" + b"".join(
        b"event: x\r\ndata: %b\r\n\r\n" % event for event in EVENTS) + b"data: [DONE]\n\n"
    cuts = sorted({0, len(body), *(cut for cut in reads if cut < len(body))})
    framed = b"".join(chunk(body[a:b]) for a, b in zip(cuts, cuts[1:])) + b"0\r\n\r\n"
    cuts = sorted({0, len(framed), *(cut for cut in writes if cut < len(framed))})
    reader = ReplyReader()
    found = reader.feed(HEAD)
    for a, b in zip(cuts, cuts[1:]):
        assert not reader.done
        found += reader.feed(framed[a:b])
    assert found == EVENTS and reader.done and reader.told


def test_an_event_without_its_empty_line_is_told_at_the_end() -> None:
    reader = ReplyReader()
    assert reader.feed(HEAD + chunk(b'data: {"a":1}')) == []
    assert reader.feed(b"0\r\n\r\n") == [b'{"a":1}']


def test_an_event_that_is_too_long_is_told_once() -> None:
    reader = ReplyReader()
    found = reader.feed(HEAD + chunk(b"data: " + b"x" * EVENT_BYTES_MAX))
    found += reader.feed(chunk(b"\n\ndata: 1\n\n"))
    error, one = sorted(found, key=len, reverse=True)
    assert json.loads(error)["status"] == 502 and one == b"1"
    assert reader.feed(chunk(b"data: 2\n\n")) == [b"2"]


@pytest.mark.parametrize("status, body, code", [
    (400, b'{"error":{"message":"m","type":"t","param":"p","code":"c"}}', "c"),
    (400, b'{"error":{"message":"m","type":"t","param":"previous_response_id",'
          b'"code":"refused_field"}}', "previous_response_not_found"),
    (400, b'{"error":{"message":"m","type":"t","param":"prompt","code":"refused_field"}}',
     "refused_field"),
    (500, b'{"error":"text"}', None), (500, b"[]", None), (502, b"<html>", None), (503, b"", None),
])
def test_an_error_reply_is_an_event(status: int, body: bytes, code: str | None) -> None:
    reader = ReplyReader()
    [found] = reader.feed(whole(status, body, b"retry-after: 2", b"server: x"))
    told: dict[str, Any] = json.loads(found)
    assert (told["type"], told["status"], told["error"]["code"]) == ("error", status, code)
    assert told["error"]["message"] and told["headers"] == {"retry-after": "2"}


@pytest.mark.parametrize("members, message", [
    (b'"code":"c","message":"m","param":null,"sequence_number":3', "m"),
    (b'"error":{"type":"t","code":"c","message":"m","param":null},"sequence_number":3', "m"),
    (b'"code":"c","message":"%b"' % (b"m" * 5000), "m" * 5000),
])
def test_an_error_of_a_stream_has_the_form_of_a_socket(members: bytes, message: str) -> None:
    reader = ReplyReader()
    [found] = reader.feed(HEAD + chunk(b'event: error\ndata: {"type":"error",%b}\n\n' % members))
    told = json.loads(found)
    assert (told["type"], told["status"], told["error"]["code"]) == ("error", 502, "c")
    assert (told["error"]["message"], told["error"]["param"]) == (message, None)
    assert ResponseWsError.model_validate(told).error.type  # the official SDK's own type


@pytest.mark.parametrize("kind, ended", [
    ("response.completed", True), ("response.incomplete", True), ("response.failed", True),
    ("response.created", False), ("error", False),
])
def test_the_last_event_of_a_response_is_known(kind: str, ended: bool) -> None:
    reader = ReplyReader()
    reader.feed(HEAD + chunk(b'data: {"response":{},"type":"%b"}\n\n' % kind.encode()))
    assert reader.ended == ended
    reader.feed(chunk(b"data: 1\n\n"))
    assert reader.ended == ended and not reader.done


@pytest.mark.parametrize("event", [
    b'{"type":"error","status":429,"error":{"code":"c"}}', b'["error"]', b'{"error":null}',
    b'{"type":"response.completed","response":{"error":null}}',
])
def test_other_events_pass_with_an_error_in_them(event: bytes) -> None:
    assert ReplyReader().feed(HEAD + chunk(b"data: %b\n\n" % event)) == [event]


def test_an_answer_that_is_no_stream_is_a_completed_response() -> None:
    body = b'{"id": "r", "output": [], "n": 1.50}'
    data = whole(200, body)
    reader = ReplyReader()
    assert reader.feed(data[:-5]) == [] and not reader.done
    assert reader.feed(data[-5:]) == [
        b'{"type":"response.completed","sequence_number":0,'
        b'"response":{"id":"r","output":[],"n":1.50}}']


@pytest.mark.parametrize("body", [
    b"", b"[]", b"no", b'{"x":"' + b"x" * ANSWER_BYTES_MAX + b'"}'])
def test_an_answer_that_is_none_is_an_error(body: bytes) -> None:
    [found] = ReplyReader().feed(whole(200, body))
    assert json.loads(found)["status"] == 502


def test_the_half_of_an_event_before_a_break_is_no_message() -> None:
    reader = ReplyReader()
    assert reader.feed(HEAD + chunk(b"data: %b\n\n" % EVENTS[0])) == [EVENTS[0]]
    assert reader.feed(chunk(b'data: {"type":"b","delta":"ha')) == []
    assert reader.feed(chunk(b"\n\ndata: %b\n\n" % EVENTS[2])) == [EVENTS[2]]


@pytest.mark.parametrize(("odd", "sent"), [
    (rb"\ud83d", rb"\ud83d"), (b"\xff", b"\xef\xbf\xbd"),
    (b'","n":NaN,"m":"', b'","n":NaN,"m":"')])
def test_an_event_with_half_a_character_passes_as_text(odd: bytes, sent: bytes) -> None:
    for kind, ended in ((b"response.output_text.delta", False), (b"response.completed", True)):
        reader = ReplyReader()
        event = b'{"delta":"%b","type":"' + kind + b'"}'
        assert reader.feed(HEAD + chunk(b"data: %b\n\n" % (event % odd))) == [event % sent]
        assert reader.ended is ended
    [error] = ReplyReader().feed(
        HEAD + chunk(b'data: {"type":"error","code":"c","message":"%b"}\n\n' % odd))
    assert json.loads(error)["error"]["code"] == "c"
    [answer] = ReplyReader().feed(whole(200, b'{"id":"r","output":"%b"}' % odd))
    assert json.loads(answer)["response"]["id"] == "r"
    [refused] = ReplyReader().feed(whole(400, b'{"error":{"code":"c","message":"%b"}}' % odd))
    assert json.loads(refused)["error"]["code"] == "c"
