"""Server events: bytes that pass, figures that are summed, and what never reaches a client."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.errors import RelayError
from relayd.core.usage import Beside, Usage
from relayd.wire.reply_realtime import RUNNING_MAX, SessionReader, error_event, total

SECRET = b"sk-upstream-credential"


class Sink:
    """Text by stream."""

    def __init__(self) -> None:
        self.texts: dict[int, str] = {}

    def add(self, text: str, stream: int = 0) -> None:
        self.texts[stream] = self.texts.get(stream, "") + text


def reader(sink: Sink | None = None) -> SessionReader:
    return SessionReader((SECRET,), sink)


def raw(event: object) -> bytes:
    return json.dumps(event).encode()


def done(name: str, usage: object, status: str = "completed", **more: object) -> bytes:
    return raw({"type": "response.done", "event_id": "e", "response": {
        "id": name, "object": "realtime.response", "status": status, "usage": usage, **more}})


REPORT = {
    "total_tokens": 150, "input_tokens": 100, "output_tokens": 50,
    "input_token_details": {"text_tokens": 60, "audio_tokens": 40, "image_tokens": 0,
                            "cached_tokens": 64,
                            "cached_tokens_details": {"text_tokens": 64, "audio_tokens": 0}},
    "output_token_details": {"text_tokens": 20, "audio_tokens": 30},
}
ONE = Usage(input_tokens=100, output_tokens=50, cache_read_input_tokens=64,
            audio_input_tokens=40, audio_output_tokens=30)


def test_the_responses_of_a_session_are_summed() -> None:
    session = reader()
    assert session.usage is None
    for name in ("a", "b", "c"):
        assert session.passing(raw({"type": "response.created", "response": {"id": name}})) is None
        assert session.running == {name}
        assert session.passing(done(name, REPORT)) is None
    assert session.usage == Usage(
        input_tokens=300, output_tokens=150, cache_read_input_tokens=192, audio_input_tokens=120,
        audio_output_tokens=90)
    assert session.running == set() and session.failed is None


@pytest.mark.parametrize("usage", [None, {}, "5", {"input_tokens": -1, "output_tokens": 2},
                                   {"input_tokens": True, "output_tokens": 2}])
def test_no_report_is_no_zero(usage: object) -> None:
    session = reader()
    assert session.passing(done("a", usage)) is None
    assert session.usage is None
    session.passing(done("b", {"input_tokens": 0, "output_tokens": 0}))
    assert session.usage == Usage()


@given(st.lists(st.tuples(*[st.integers(0, 1000)] * len(Usage.__struct_fields__)), min_size=1,
                max_size=5))
def test_a_total_is_that_of_its_parts(figures: list[tuple[int, ...]]) -> None:
    found: Usage | None = None
    for row in figures:
        found = total(found, Usage(*row))
    for place, name in enumerate(Usage.__struct_fields__):
        assert getattr(found, name) == sum(row[place] for row in figures)


def test_transcription_of_what_was_said_is_billed_beside() -> None:
    kind = "conversation.item.input_audio_transcription.completed"
    session = reader()
    session.passing(done("a", REPORT))
    session.passing(raw({"type": kind, "transcript": "hi", "usage": {
        "type": "tokens", "input_tokens": 14, "output_tokens": 5, "total_tokens": 19,
        "input_token_details": {"audio_tokens": 14, "text_tokens": 0}}}))
    session.passing(raw({"type": kind, "usage": {"type": "duration", "seconds": 2.1}}))
    session.passing(raw({"type": kind, "usage": None}))
    session.passing(raw({"type": kind, "usage": {"type": "duration", "seconds": -1}}))
    assert session.usage == total(ONE, Usage(
        input_tokens=14, output_tokens=5, audio_input_tokens=14, audio_seconds=3))


def test_text_is_told_apart_by_response_and_item() -> None:
    sink = Sink()
    session = reader(sink)
    for number in range(2):
        session.passing(raw({"type": "response.created", "response": {"id": str(number)}}))
        session.passing(raw({"type": "response.output_item.added", "output_index": 1,
                             "item": {"type": "function_call", "name": "look"}}))
        for kind in ("response.output_text.delta", "response.text.delta",
                     "response.output_audio_transcript.delta", "response.audio_transcript.delta"):
            session.passing(raw({"type": kind, "output_index": 0, "delta": "word "}))
        session.passing(raw({"type": "response.function_call_arguments.delta",
                             "output_index": 1, "delta": "{}"}))
    assert sorted(sink.texts.values()) == ["look", "look"] + ["word " * 4] * 2 + ["{}"] * 2


def test_sound_is_noticed_and_not_parsed() -> None:
    session = reader(Sink())
    assert not session.heard_sound
    assert session.passing(b'{"type":"response.output_audio.delta","delta":"not even JSON') is None
    assert session.heard_sound


def test_rate_limits_of_the_operator_are_withheld() -> None:
    event = {"type": "rate_limits.updated", "event_id": "e", "rate_limits": [
        {"name": "tokens", "limit": 50000, "remaining": 49950, "reset_seconds": 0.06}]}
    assert reader().passing(raw(event)) == b""
    assert reader().passing(raw(dict(reversed(event.items())))) == b""


@pytest.mark.parametrize("message", [
    "Rate limit reached for gpt-realtime in organization org-abcdefgh12345678 on tokens",
    "Incorrect API key provided: sk-upstream-credential",
])
def test_an_error_that_names_the_operator_is_told_in_our_words(message: str) -> None:
    session = reader()
    told = session.passing(raw({"type": "error", "event_id": "e1", "error": {
        "type": "invalid_request_error", "code": "rate_limit_exceeded", "message": message,
        "param": None, "event_id": "mine"}}))
    assert told is not None and b"org-" not in told and SECRET not in told
    error = json.loads(told)["error"]
    assert error["event_id"] == "mine" and error["message"]
    assert session.failed == "provider_rate_limited"


def test_a_transcription_that_failed_is_told_without_the_operator() -> None:
    session = reader()
    event: dict[str, Any] = {
        "type": "conversation.item.input_audio_transcription.failed", "event_id": "e1",
        "item_id": "item_1", "content_index": 0, "error": {
            "type": "tokens", "code": "rate_limit_exceeded", "param": None,
            "message": "Rate limit reached for organization org-abcdefgh12345678 on minutes"}}
    told = session.passing(raw(event))
    assert told is not None and b"org-" not in told
    found = json.loads(told)
    error = found.pop("error")
    assert error["code"] == "rate_limit_exceeded" and error["message"]
    assert found == {name: event[name] for name in event if name != "error"}
    event["error"]["message"] = "The audio is not clear."
    assert session.passing(raw(event)) is None
    told = session.passing(raw({**event, "billed_to": "organization org-abcdefgh12345678"}))
    assert told is not None and b"org-" not in told
    assert session.failed is None  # the session goes on, and so do its responses


def test_an_error_that_names_nobody_passes() -> None:
    session = reader()
    assert session.passing(raw({"type": "error", "error": {
        "type": "invalid_request_error", "code": "invalid_value", "message": "No such voice."},
    })) is None
    assert session.failed is not None


def test_a_failed_response_is_told_without_the_operator() -> None:
    failed: dict[str, Any] = {"type": "failed", "error": {
        "type": "insufficient_quota", "code": "insufficient_quota",
        "message": "organization org-abcdefgh12345678 has no quota"}}
    session = reader()
    told = session.passing(done("a", REPORT, "failed", status_details=failed))
    assert told is not None and b"org-" not in told
    event = json.loads(told)
    assert event["response"]["usage"] == REPORT and event["response"]["id"] == "a"
    assert event["response"]["status_details"]["error"]["code"] == "insufficient_quota"
    assert (session.failed, session.usage) == ("provider_quota", ONE)
    failed["error"]["message"] = "Try again."
    assert session.passing(done("b", None, "failed", status_details=failed)) is None
    session.passing(done("c", None))
    assert session.failed is None


@pytest.mark.parametrize("kind", ["session.created", "session.updated"])
def test_a_key_to_the_provider_is_blotted_out(kind: str) -> None:
    event = {"type": kind, "session": {"id": "s", "client_secret": {"value": "ek_1"}}}
    told = reader().passing(raw(event))
    assert told is not None
    assert json.loads(told) == {"type": kind, "session": {"id": "s", "client_secret": None}}
    for harmless in ({"id": "s", "client_secret": None}, {"id": "s"}):
        assert reader().passing(raw({"type": kind, "session": harmless})) is None
    assert reader().passing(b'{"type":"session.created","client_secret":') == b""


@pytest.mark.parametrize("payload", [
    b"", b"null", b"[1]", b"\xff\xfe", b'{"type":3}', b'{"type":"conversation.item.added"}',
    b'{"type":"response.done"}', b'{"type":"response.done","response":3}',
    b'{"type":"response.created","response":null}', b'{"type":"response.output_text.delta"',
    b'{"type":"response.output_item.added","item":"x"}', b'{"response":{},"type":"response.done"}',
    b'{"type":"response.output_text.delta","delta":3,"output_index":-1}',
])
def test_anything_else_passes_as_it_is(payload: bytes) -> None:
    session = reader(Sink())
    assert session.passing(payload) is None
    assert session.usage is None


NAMES = st.sampled_from([
    "response", "id", "status", "status_details", "usage", "error", "session", "client_secret",
    "delta", "output_index", "item", "name", "message", "event_id", "input_tokens", "seconds"])
KINDS = st.sampled_from([
    "error", "response.done", "response.created", "session.created", "session.updated",
    "response.output_text.delta", "response.output_item.added", "rate_limits.updated",
    "conversation.item.input_audio_transcription.completed", "response.output_audio.delta"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["failed", "org-abcdefgh12345678", "sk-upstream-credential"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=12)


@given(st.lists(st.tuples(KINDS, st.dictionaries(NAMES, ANYTHING, max_size=6)), max_size=5))
def test_whatever_a_provider_says(events: list[tuple[str, dict[str, Any]]]) -> None:
    session = reader(Sink())
    for kind, members in events:
        payload = raw({"type": kind, **members})
        told = session.passing(payload)
        assert told is None or told == b"" or json.loads(told)["type"] == kind
        if kind == "error":
            assert SECRET not in (payload if told is None else told)


def test_what_has_been_asked_for_and_has_not_ended_is_counted() -> None:
    read = reader()

    def tell(*events: tuple[str, dict[str, Any]]) -> int:
        for kind, members in events:
            read.passing(raw({"type": kind, **members}))
        return read.awaited

    created, ended = ("response.created", {}), ("response.done", {"response": {}})
    wrong = ("error", {"error": {"type": "invalid_request_error", "message": "no"}})
    assert read.awaited == 0
    for _ in range(3):
        read.ask()
    assert read.awaited == 3
    assert tell(created) == 3 and tell(ended) == 2
    assert tell(wrong) == 1  # one of them was refused
    assert tell(created, ended) == 0
    assert tell(wrong) == 0 and tell(ended) == 0
    assert tell(created) == 1  # of the provider's own accord
    read.ask()
    assert read.awaited == 2 and tell(ended, ended, ended) == 0
    read.ask()
    assert read.awaited == 1


def test_running_responses_are_bounded() -> None:
    session = reader()
    for number in range(RUNNING_MAX + 5):
        session.passing(raw({"type": "response.created", "response": {"id": str(number)}}))
    assert len(session.running) == RUNNING_MAX


def test_our_own_errors_have_the_shape_of_the_api() -> None:
    event = json.loads(error_event(RelayError("unknown_event", param="type"), "mine", "event_1"))
    assert event["type"] == "error" and event["event_id"] == "event_1"
    assert event["error"]["event_id"] == "mine" and event["error"]["param"] == "type"
    assert event["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("odd", [b'"\xff":1', b'"x":"\xff"', b'"x":1e999', b'"x":' + b"[" * 5000])
def test_an_event_that_cannot_be_read_whole_raises_nothing_and_names_nobody(odd: bytes) -> None:
    session = reader()
    failed = (b'{"type":"response.done","response":{"id":"r","status":"failed","status_details":'
              b'{"error":{"code":"insufficient_quota","message":"org-abcdefgh12345678"}}},')
    told = session.passing(failed + odd + b"}")
    assert told is not None and b"org-" not in told
    assert json.loads(told)["type"] in ("response.done", "error")
    naming = b'{"message":"organization org-abcdefgh12345678",'
    error = b'{"type":"error","error":' + naming + odd + b"}}"
    told = session.passing(error)
    assert told is not None and b"org-" not in told
    assert session.passing(b'{"type":"error","error":{' + odd + b"}}") is None
    told = session.passing(
        b'{"type":"conversation.item.input_audio_transcription.failed","error":' + naming
        + b'"code":"rate_limit_exceeded"},' + odd + b"}")
    assert told is not None and b"org-" not in told and json.loads(told)["error"]["message"]


@pytest.mark.parametrize("odd", [rb"\ud83d", b"\xff", b'","n":NaN,"m":"'])
@pytest.mark.parametrize("first", [
    b'"type":"response.done",', b'"event_id":"e","type":"response.done",'])
def test_half_a_character_costs_no_usage(odd: bytes, first: bytes) -> None:
    session = reader()
    session.passing(raw({"type": "response.created", "response": {"id": "r"}}))
    event = (b'{%b"response":{"id":"r","status":"completed","output":[{"transcript":"%b"}],'
             b'"usage":{"input_tokens":7,"output_tokens":3}}}' % (first, odd))
    assert session.passing(event) is None
    assert session.usage == Usage(7, 3) and not session.running and session.failed is None
    error = b'{"event_id":"e","type":"error","error":{"message":"org-abcdefgh12345678 %b"}}' % odd
    told = session.passing(error)
    assert told is not None and b"org-" not in told
    updated = (b'{"type":"session.updated","session":{"client_secret":{"value":"x"},'
               b'"instructions":"%b"}}' % odd)
    told = session.passing(updated)
    assert told is not None and json.loads(told)["session"]["client_secret"] is None


def sound(size: int) -> bytes:
    return raw({"type": "response.output_audio.delta", "event_id": "e", "response_id": "b",
                "delta": "A" * size}).replace(b'": ', b'":')


@pytest.mark.parametrize(("session", "rate"), [
    ({}, 48_000), ({"audio": {"output": {"format": {"type": "audio/pcm"}}}}, 48_000),
    ({"audio": {"output": {"format": {"type": "audio/pcmu"}}}}, 8_000),
    ({"output_audio_format": "g711_alaw"}, 8_000), ({"output_audio_format": "pcm16"}, 48_000),
    ({"audio": {"output": 1}}, 48_000),
])
def test_sound_of_a_response_that_is_left_counts_by_its_seconds(
    session: dict[str, Any], rate: int
) -> None:
    """A session that was left just before each response's end had their sound for nothing."""
    made = reader()
    made.passing(raw({"type": "session.updated", "session": session}))
    made.tell(401)
    made.passing(raw({"type": "response.created", "response": {"id": "b"}}))
    for _ in range(3):
        made.passing(sound(rate * 4 // 3))
    made.passing(raw({"type": "response.output_audio_transcript.delta", "delta": "x" * 41}))
    found = made.so_far()
    assert type(found) is Beside
    assert (found.input_tokens, found.audio_output_tokens, found.output_tokens) == (100, 60, 71)


def test_a_response_that_is_left_was_given_what_the_last_one_was() -> None:
    made = reader()
    assert made.so_far() is None
    made.passing(raw({"type": "response.created", "response": {"id": "a"}}))
    made.passing(sound(480_000))
    made.passing(done("a", REPORT))
    assert made.so_far() == ONE and type(made.so_far()) is Usage
    for name in ("b", "c"):
        made.passing(raw({"type": "response.created", "response": {"id": name}}))
    assert made.so_far() == Beside(
        input_tokens=300, output_tokens=50, cache_read_input_tokens=192, audio_input_tokens=120,
        audio_output_tokens=30)
    made.passing(done("b", REPORT))
    made.passing(done("c", REPORT))
    assert made.so_far() == ONE.plus(ONE).plus(ONE)
