"""Client events: written alike whoever wrote them, without what names somebody."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.wire.body import NESTING_MAX
from relayd.wire.openai_realtime import EVENT_TYPES, read_event
from relayd.wire.walk import BodyPolicy

STANDARD = BodyPolicy()
STRICT = BodyPolicy(unknown_fields="refuse")
OPEN = BodyPolicy(unknown_fields="pass")
FULL: dict[str, Any] = {
    "type": "session.update", "event_id": "event_1",
    "session": {
        "type": "realtime", "output_modalities": ["audio"], "instructions": "Be brief.",
        "audio": {
            "input": {"format": {"type": "audio/pcm", "rate": 24000}, "noise_reduction": None,
                      "transcription": {"model": "whisper-1", "language": "de"},
                      "turn_detection": {"type": "server_vad", "threshold": 0.5,
                                         "prefix_padding_ms": 300, "silence_duration_ms": 500,
                                         "idle_timeout_ms": None, "create_response": True,
                                         "interrupt_response": True}},
            "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "marin",
                       "speed": 1}},
        "tools": [{"type": "function", "name": "look", "description": "Looks",
                   "parameters": {"type": "object", "properties": {}}}],
        "tool_choice": "auto", "max_output_tokens": 200,
        "truncation": {"type": "retention_ratio", "retention_ratio": 0.8},
    },
}


def sent(event: object, policy: BodyPolicy = STANDARD) -> Any:
    """What the provider would get, parsed."""
    said = read_event(json.dumps(event).encode(), policy)
    assert said.error is None, said.error
    return json.loads(said.data)


def refused(event: object, policy: BodyPolicy = STANDARD) -> tuple[str, str | None]:
    said = read_event(json.dumps(event).encode(), policy)
    assert said.error is not None and said.data == b""
    return said.error.code, said.error.param


def shuffled(value: Any, draw: st.DrawFn) -> Any:
    if isinstance(value, dict):
        keys = draw(st.permutations(list(value)))
        return {key: shuffled(value[key], draw) for key in keys}
    return [shuffled(inner, draw) for inner in value] if isinstance(value, list) else value


@given(st.data())
def test_order_space_and_escapes_of_the_writer_vanish(data: st.DataObject) -> None:
    event = shuffled(FULL, data.draw)
    raw = json.dumps(event, indent=data.draw(st.sampled_from([None, 1, 2])),
                     ensure_ascii=data.draw(st.booleans()))
    assert read_event(raw.encode(), STANDARD).data == \
        read_event(json.dumps(FULL).encode(), STANDARD).data
    assert json.loads(read_event(raw.encode(), STANDARD).data) == FULL


@pytest.mark.parametrize("name", [
    "user", "safety_identifier", "metadata", "tracing", "prompt_cache_key", "client_secret",
    "device_id", "id",
])
@pytest.mark.parametrize("part", ["session.update", "response.create"])
def test_members_that_identify_are_not_sent(name: str, part: str) -> None:
    inner = part.partition(".")[0]
    event = {"type": part, inner: {"instructions": "Hi", name: {"who": "canary"}}}
    said = read_event(json.dumps(event).encode(), STANDARD)
    assert json.loads(said.data) == {"type": part, inner: {"instructions": "Hi"}}
    # a member that no table knows may be passed by the operator; one that identifies never is
    passed = sent(event, OPEN)
    assert (name in passed[inner]) == (
        name == "device_id" or (name == "id" and inner == "response"))


@pytest.mark.parametrize(("event", "param"), [
    ({"type": "session.update", "session": {"prompt": {"id": "pmpt_1"}}}, "session.prompt"),
    ({"type": "response.create", "response": {"prompt": {"id": "pmpt_1"}}}, "response.prompt"),
    ({"type": "response.create", "response": {"conversation": "conv_1"}},
     "response.conversation"),
    ({"type": "session.update", "session": {"tools": [{"type": "mcp", "server_url": "x"}]}},
     "tools.mcp"),
    ({"type": "conversation.item.create", "item": {
        "type": "message", "content": [{"type": "input_file", "file_id": "file_1"}]}},
     "item.content.file_id"),
])
def test_what_is_kept_at_the_provider_is_refused(event: object, param: str) -> None:
    assert refused(event) == ("refused_field", param)


def test_null_is_a_value() -> None:
    off = {"type": "session.update", "session": {
        "turn_detection": None, "audio": {"input": {"turn_detection": None}}}}
    assert sent(off) == {"type": "session.update", "session": {
        "audio": {"input": {"turn_detection": None}}, "turn_detection": None}}


def test_the_model_is_that_of_the_address() -> None:
    assert sent({"type": "session.update", "session": {"model": "other", "voice": "ash"}}) == {
        "type": "session.update", "session": {"voice": "ash"}}


@pytest.mark.parametrize("kind", sorted(EVENT_TYPES))
def test_each_event_passes_with_its_type_alone(kind: str) -> None:
    assert sent({"type": kind}) == {"type": kind}
    assert sent({"event_id": "e-1", "type": kind, "extra": 1}) == {"type": kind, "event_id": "e-1"}
    assert refused({"type": kind, "extra": 1}, STRICT) == ("unknown_field", "event.extra")


@pytest.mark.parametrize("kind", ["session.close", "", None, 3, {"a": 1}])
def test_unknown_types_are_refused_unless_the_operator_passes_them(kind: object) -> None:
    assert refused({"type": kind}) == ("unknown_event", "type")
    assert sent({"type": kind}, OPEN) == {"type": kind}


@pytest.mark.parametrize("name", ["x" * 65, "white space", "Ünlaut", 7, {"a": 1}])
def test_ids_have_the_form_of_ids(name: object) -> None:
    event = {"type": "conversation.item.create", "event_id": name,
             "item": {"id": name, "type": "message", "role": "user",
                      "content": [{"type": "input_text", "text": "x"}]}}
    assert sent(event) == {"type": "conversation.item.create", "item": {
        "type": "message", "role": "user", "content": [{"type": "input_text", "text": "x"}]}}


@pytest.mark.parametrize("raw", [
    b"", b"hello", b"[]", b"null", b'"x"', b"{", b'{"type":"input_audio_buffer.clear"', b"\xff",
    b'{"type":"session.update","session":' + b"[" * 300 + b"]" * 300 + b"}",
    b'{"type":NaN}',
])
def test_what_is_no_json_object_is_no_event(raw: bytes) -> None:
    said = read_event(raw, OPEN)
    assert said.error is not None and said.error.code == "invalid_json"
    assert said.error.__cause__ is None and said.error.__context__ is None


def test_deep_nesting_is_refused_and_audio_does_not_look_deep() -> None:
    deep: object = 1
    for _ in range(NESTING_MAX):
        deep = [deep]
    assert refused({"type": "session.update", "session": {"truncation": deep}}, OPEN)[0] == \
        "invalid_json"
    text = "[{" * 1000
    assert sent({"type": "input_audio_buffer.append", "audio": text})["audio"] == text


def test_a_session_that_is_no_object_is_refused() -> None:
    assert refused({"type": "session.update", "session": "all"}) == ("invalid_field", "session")


NAMES = st.sampled_from([
    "type", "session", "response", "item", "input", "tools", "audio", "output", "content", "user",
    "turn_detection", "conversation", "voice", "id", "event_id", "tool_choice", "x"])
WORDS = st.sampled_from([
    *sorted(EVENT_TYPES), "message", "mcp", "function", "auto", "x", "input_file"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=12)


@given(st.dictionaries(NAMES, ANYTHING, max_size=5), WORDS,
       st.sampled_from([STANDARD, STRICT, OPEN]))
def test_any_event_is_sent_or_refused(
    event: dict[str, Any], kind: str, policy: BodyPolicy
) -> None:
    said = read_event(json.dumps({**event, "type": kind}).encode(), policy)
    assert (said.error is None) == bool(said.data)
    if said.error is None:
        assert read_event(said.data, policy).data == said.data
        if kind == "session.update":
            assert "user" not in json.loads(said.data).get("session", {})


@given(st.binary(max_size=60))
def test_any_bytes_are_sent_or_refused(raw: bytes) -> None:
    assert read_event(raw, STANDARD).error is not None


def test_lone_surrogates_pass() -> None:
    raw = b'{"type":"response.create","response":{"instructions":"\\ud83d"}}'
    assert read_event(raw, STANDARD).data == raw


def test_the_clients_event_id_is_told_with_a_refusal() -> None:
    said = read_event(b'{"type":"x","event_id":"mine"}', STANDARD)
    assert (said.event_id, said.type, said.data) == ("mine", "", b"")
