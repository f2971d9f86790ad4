"""Error events that name the operator: replaced in every dialect, however they are cut."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given

from relayd.core.provider import Api
from relayd.wire.anonymous import (
    HELD_BYTES_MAX, SHORT_BYTES, ErrorGuard, begins_as_error, told_in,
)
from relayd.wire.provider_error import judge
from tests.fakes.splits import cut, one_by_one, places
from tests.shared import shared

NAMED = "Rate limit reached for gpt-5 in organization org-AbCd1234EfGh5678 on tokens per min"
PLAIN = "Rate limit reached"
Failure = tuple[Api, str, bytes]


def failures(message: str, end: str = "\n\n") -> dict[str, Failure]:
    """An error event of each dialect."""
    events: dict[str, tuple[Api, str, str, dict[str, Any]]] = {
        "chat": ("openai", "chat", "", {"error": {"message": message, "code": "x"}}),
        "openrouter": ("openai", "chat", "", {
            "choices": [{"index": 0, "delta": {"content": "hello"}, "finish_reason": "error"}],
            "error": {"code": 502, "message": message}}),
        "failed": ("openai", "responses", "response.failed", {
            "type": "response.failed", "response": {
                "id": "r", "status": "failed", "error": {"code": "rate_limit_exceeded",
                                                         "message": message},
                "instructions": "be brief " * 400}}),
        "error": ("openai", "responses", "error", {
            "type": "error", "code": "rate_limit_exceeded", "message": message}),
        "messages": ("anthropic", "messages", "error", {
            "type": "error", "error": {"type": "rate_limit_error", "message": message}}),
        "gemini": ("gemini", "stream_generate", "", {
            "error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": message}}),
    }
    lines = end[:len(end) // 2]
    return {
        name: (api, operation, (
            (f"event: {kind}{lines}" if kind else "")
            + f"data: {json.dumps(value)}{end}").encode())
        for name, (api, operation, kind, value) in events.items()}


def guarded(api: Api, operation: str, pieces: list[bytes]) -> bytes:
    guard = ErrorGuard(api, operation, (b"gateway.example",), "01ID")
    passed = [guard.passing(piece, False) for piece in pieces]
    passed.append(guard.passing(b"", True))
    assert not guard.holds
    return b"".join(passed)


BEFORE = b': comment\n\ndata: {"choices":[{"index":0,"delta":{"content":"org-AbCd1234"}}]}\n\n'
AFTER = b'data: {"choices":[],"usage":{"prompt_tokens":7}}\n\ndata: [DONE]\n\n'


@pytest.mark.parametrize("name", failures(""))
@pytest.mark.parametrize("end", ["\n\n", "\r\n\r\n", "\r\r"])
@given(where=places)
def test_an_error_that_names_the_operator_is_told_in_other_words(
    name: str, end: str, where: list[int]
) -> None:
    api, operation, event = failures(NAMED, end)[name]
    stream = BEFORE + event + AFTER
    for pieces in ([stream], cut(stream, where), one_by_one(stream)):
        passed = guarded(api, operation, pieces)
        assert b"organization" not in passed and b"error" in passed
        assert passed.startswith(BEFORE) and passed.endswith(AFTER)


@pytest.mark.parametrize("name", failures(""))
@given(where=places)
def test_one_that_does_not_passes_as_it_came(name: str, where: list[int]) -> None:
    api, operation, event = failures(PLAIN)[name]
    stream = BEFORE + event + AFTER
    for pieces in ([stream], cut(stream, where), one_by_one(stream), [stream[:-2]]):
        assert guarded(api, operation, pieces) == b"".join(pieces)


@pytest.mark.parametrize("event", [
    {"choices": [{"delta": {"content": f'{{"error": "{NAMED}"}}'}}]},
    {"type": "response.completed", "response": {"error": None, "output": [
        {"type": "mcp_call", "error": NAMED}]}},
    {"type": "response.failed", "response": {"error": {"code": "x", "message": "x"}, "output": [
        {"type": "message", "content": [{"text": NAMED}]}]}},
    {"error": None, "text": NAMED}, {"type": "response.failed", "response": [NAMED, "error"]},
    {"choices": [{"delta": {"content": NAMED}}], "error": {"code": 1}}, ["error", NAMED],
])
def test_what_the_model_says_is_no_error(event: object) -> None:
    for stream in (b"data: %b\n\n" % json.dumps(event).encode(), b'data: {"error":{' * 2):
        assert guarded("openai", "responses", [stream]) == stream


@pytest.mark.parametrize("event, told", [
    (b'data: {"choices":[{"delta":{"content":"sk-abcdef org-AbC123dEf456"}}]}\n\n', False),
    (b'data: {"choices":[{"delta":{"content":"\\"error\\": sk-abcdef"}}]}\n\n', False),
    (b'data: {"response":{"error":null,"instructions":"sk-abcdef"}}\n\n', False),
    (b'data: {"error":{"message":"org-AbC123dEf456"}}\n\n', True),
    (b'data: {"error": {"message":"context too long"}}\n\n', False),
    (b'event: error\ndata: {"type":"error","code":"x","message":"in org-AbC123dEf456"}\n\n', True),
    (b'data: {"error":{"message":"internal-gw.example.net"}}\n\n', True),
    # what is no JSON
    (b'data: {"error":{"message":"org-AbC123dEf456"}}}\n\n', True),
    (b'data: {"error":{"message":"org-AbC123dEf456\n\n', True),
    (b'data: {"error":{"message":"a\tb"}\n\n', False),
    (b'data: {"text":"\\"error\\": org-AbC123dEf456\n\n', False),
])
def test_only_errors_inside_streams_are_told_in_other_words(event: bytes, told: bool) -> None:
    for behind in (b"", b": behind\n\n"):
        guard = ErrorGuard("openai", "chat", (b"internal-gw.example.net",), "call_1")
        assert (guard.passing(event + behind, True) != event + behind) is told


ODD = {"surrogate": rb" \ud83d", "utf-8": b" \xff", "number": b'","n":NaN,"m":"',
       "name": b'","\xff":"'}
"""What msgspec reads no JSON with; providers repeat what was sent to them."""


@pytest.mark.parametrize("name", failures(""))
@pytest.mark.parametrize("odd", ODD)
def test_an_error_that_repeats_half_a_character_names_nobody_either(name: str, odd: str) -> None:
    for message, named in ((NAMED, True), (PLAIN, False)):
        api, operation, event = failures(message + " <odd>")[name]
        event = event.replace(b" <odd>", ODD[odd])
        passed = guarded(api, operation, one_by_one(event))
        assert (b"org-" in event) is named and b"org-" not in passed
        assert named or passed == event
        reply = event.partition(b"data: ")[2]
        told = told_in(reply)
        assert told is not None and judge(api, 200, told, ()).passes is not named


def test_recorded_answers_are_not_taken_for_errors_that_name_the_operator() -> None:
    for case in shared("corpus", "cases").iterdir():
        if ".err." not in case.name:
            told = told_in((case / "response.raw").read_bytes())
            assert told is None or judge("openai", 200, told, ()).passes, case.name


def test_nothing_but_an_error_or_first_bytes_is_held() -> None:
    guard = ErrorGuard("openai", "chat", (), "01ID")
    assert guard.passing(b"data: " + b"x" * SHORT_BYTES, False)
    assert not guard.holds
    assert guard.passing(b"x\n\ndata: {", False) == b"x\n\n" and guard.holds
    assert guard.passing(b"x" * SHORT_BYTES, False) == b"data: {" + b"x" * SHORT_BYTES
    assert guard.passing(b"\n\ndata: {", False) == b"\n\n" and guard.holds
    begun = b'"error":{"message":"' + b"x" * SHORT_BYTES
    assert guard.passing(begun, False) == b"" and guard.holds
    assert guard.passing(b"x" * 9, False) == b""
    long = guard.passing(b"x" * HELD_BYTES_MAX, False)
    assert long == b"data: {" + begun + b"x" * (9 + HELD_BYTES_MAX) and not guard.holds


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
def test_an_event_that_is_held_goes_with_its_own_end(end: bytes) -> None:
    guard = ErrorGuard("openai", "chat", (), "01ID")
    begun = b'data: {"error":{"message":"' + b"x" * SHORT_BYTES
    assert guard.passing(begun, False) == b"" and guard.holds
    assert guard.passing(b'y"}}' + end, False) == begun + b'y"}}' + end and not guard.holds


@pytest.mark.parametrize("name", failures(""))
@pytest.mark.parametrize("end", ["\n\n", "\r\n\r\n", "\r\r"])
def test_the_end_of_the_event_before_it_stays(name: str, end: str) -> None:
    api, operation, event = failures(NAMED, end)[name]
    for last in (event, event[:-9]):  # what came before went out with its first line end
        guard = ErrorGuard(api, operation, (), "01ID")
        passed = guard.passing(end[:len(end) // 2].encode() + last, True)
        assert passed.startswith(end[:len(end) // 2].encode()) and b"organization" not in passed


def test_an_event_of_many_short_lines_is_held_in_linear_time() -> None:
    guard = ErrorGuard("openai", "chat", (), "01ID")
    assert guard.passing(b'data: {"error":{\n', False) == b""
    began = time.process_time()
    for _ in range(4000):
        assert guard.passing(b"data:            \n", False) == b""
    assert time.process_time() - began < 0.5  # where each line looks through all it took 3 s


def test_what_is_no_error_for_sure_is_not_held_for_long() -> None:
    guard = ErrorGuard("openai", "responses", (), "01ID")
    begun = b'data: {"error": null, "text": "' + b"x" * SHORT_BYTES
    assert guard.passing(begun, False) == begun and not guard.holds


ONE = b'{"error":{"message":"x"}}'


@pytest.mark.parametrize(("reply", "told"), [
    (ONE, ONE), (b" " + ONE, ONE), (b"[%b]" % ONE, ONE), (b' [{"a":1},%b]' % ONE, ONE),
    # what the model says beside an error is none of it
    (b'{"choices":[{"text":"org-AbCd1234"}],"error":{"message":"x"}}', ONE),
    (b"data: %b\n\n" % ONE, ONE), (b"data: {}\n\ndata: %b\n\ndata: [DONE]\n\n" % ONE, ONE),
    (b": hello\n\ndata: %b" % ONE, ONE),  # cut off in its last event
    (b'event: error\r\ndata: {"type":"error","message":"x"}\r\n\r\n',
     b'{"type":"error","message":"x"}'),
    (b'{"type":"response.failed","response":{"error":{"code":"x"},"output":["y"]}}',
     b'{"code":"x"}'),
    (b"<!DOCTYPE html><p>x", b"<!DOCTYPE html><p>x"), (b" \n<HTML>" + b"x" * SHORT_BYTES, None),
    (b"", None), (b"[]", None), (b"{}", None), (b'{"error":null}', None), (b'{"error":', None),
    (b"data: {}\n\n", None), (b"a page <html>", None), (b'"error"', None),
    (b'{"text":"{\\"error\\":1}"}', None),
])
def test_what_a_reply_tells_of_a_failure(reply: bytes, told: bytes | None) -> None:
    if b"<HTML>" in reply:
        told = reply[:SHORT_BYTES]
    assert told_in(reply) == told


@pytest.mark.parametrize(("data", "most", "may"), [
    (ONE, 99, True), (b'{"error"', 99, True), (b'{"error": ', 99, True),
    (b'{"type": "error", "a": 1', 99, True), (b'{"type": "error"}', 99, True),
    (b'{"error": null', 99, False), (b'{"error": 1', 99, False),
    (b'{"text": "an error"', 99, False),
    (b"<html>", 99, True), (b"\n <!doctype html>", 99, True), (b"<htmlx", 99, False),
    (b"text <html>", 99, False), (b"", 99, False),
    # only the first octets are looked at
    (b'{"a":1,"error":{}}', 99, True), (b'{"a":1,"error":{}}', 9, False),
])
def test_how_an_error_begins(data: bytes, most: int, may: bool) -> None:
    assert begins_as_error(data, most) is may
