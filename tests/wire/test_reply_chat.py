"""OpenAI chat and completions: replies and events as their many speakers write them."""

from __future__ import annotations

import json

import pytest

from relayd.core.usage import Usage
from relayd.wire.mended import MENDED_BYTES_MAX
from relayd.wire.reply import SHAPES
from relayd.wire.reply_chat import read_chat
from relayd.wire.replytext import (
    ARGUMENTS, CONTENT, NAME, REASONING, Findings,
)
from tests.fakes.texts import Texts


def read(value: object, *, whole: bool = False) -> tuple[Texts, Findings, bool]:
    texts = Texts()
    found = Findings(texts, whole=whole)
    usage_only = read_chat(json.dumps(value).encode(), found)
    blind = Findings(whole=whole)
    assert read_chat(json.dumps(value).encode(), blind) is usage_only
    assert (blind.usage, blind.ended, blind.error) == (found.usage, found.ended, found.error)
    return texts, found, usage_only


@pytest.mark.parametrize(("delta", "kind", "text"), [
    ({"content": "hi"}, CONTENT, "hi"),
    ({"refusal": "no"}, CONTENT, "no"),
    ({"reasoning_content": "hm"}, REASONING, "hm"),
    ({"reasoning": "hm"}, REASONING, "hm"),
    ({"reasoning": "hm", "reasoning_content": "hm"}, REASONING, "hm"),
    ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]},
     REASONING, "hm"),
    ({"content": [{"type": "text", "text": "a"}, 5, {"type": "text", "text": "b"}]},
     CONTENT, "ab"),
    ({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": ""}}]}, NAME, "f"),
    ({"tool_calls": [{"index": 0, "function": {"arguments": '{"a'}}]}, ARGUMENTS, '{"a'),
    ({"tool_calls": [{"function": {"arguments": {"a": 1}}}]}, ARGUMENTS, '{"a":1}'),
    ({"tool_calls": [{"custom": {"input": "x = 1"}}]}, ARGUMENTS, "x = 1"),
    ({"function_call": {"name": "f"}}, NAME, "f"),
    ({"audio": {"transcript": "word", "data": "AAAA"}}, CONTENT, "word"),
])
def test_text(delta: object, kind: int, text: str) -> None:
    for place, whole in (("delta", False), ("message", True)):
        texts, found, _ = read({"choices": [{"index": 0, place: delta}]}, whole=whole)
        assert texts.kind(kind) == text and found.unreported and len(texts.streams) == 1


@pytest.mark.parametrize("delta", [
    {}, {"role": "assistant", "content": ""}, {"content": None}, {"content": 5},
    {"tool_calls": [{"index": 0}]}, {"tool_calls": None}, {"reasoning_details": [{"text": "x"}]},
])
def test_no_text(delta: object) -> None:
    texts, found, _ = read({"choices": [{"index": 0, "delta": delta}]})
    assert not texts.streams and not found.unreported


def test_all_choices_and_calls_are_texts_of_their_own() -> None:
    texts, _, _ = read({"choices": [
        {"index": 0, "delta": {"content": "a"}}, {"index": 1, "delta": {"content": "b"}},
        {"index": 1, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": "c"}},
                                              {"index": 1, "function": {"arguments": "d"}}]}}]})
    assert sorted(texts.streams.values()) == ["a", "b", "c", "d"]


def test_completions() -> None:
    texts, found, _ = read({"choices": [{"text": "hi", "index": 0, "finish_reason": "length"}]})
    assert texts.kind(CONTENT) == "hi" and found.ended


def test_what_is_said_twice_is_read_once() -> None:
    event = {"choices": [{"delta": {"content": "b"}, "message": {"content": "ab"}, "text": "b"}]}
    assert read(event)[0].streams == {0: "b"}
    reply = {"choices": [{"delta": {"content": ""}, "message": {"content": "ab"}}]}
    assert read(reply, whole=True)[0].streams == {0: "ab"}


USAGE = {"prompt_tokens": 7, "completion_tokens": 3}


@pytest.mark.parametrize(("event", "usage_only"), [
    ({"choices": [], "usage": USAGE}, True),
    ({"choices": [], "usage": {}}, True),
    ({"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": USAGE}, False),
    ({"choices": [{"usage": USAGE}]}, False),
    ({"choices": [], "x_groq": {"usage": USAGE}}, False),
    ({"choices": [], "prompt_filter_results": []}, False),
    ({"choices": [], "usage": None, "prompt_filter_results": []}, False),
    ({"choices": [], "usage": [7, 3]}, False),
    ({"choices": [], "usage": USAGE, "error": {"message": "x"}}, False),
    ({"choices": [], "usage": USAGE, "base_resp": {"status_code": 1002}}, False),
    ({"choices": [], "usage": USAGE, "base_resp": {"status_code": 0}}, True),
    ({"choices": [], "usage": USAGE, "moderation": None}, True),
    ({"choices": [], "usage": USAGE, "moderation": {"input": {}, "output": {}}}, False),
    ({"choices": None, "usage": USAGE}, False),
    ({"usage": USAGE}, False),
])
def test_usage(event: dict[str, object], usage_only: bool) -> None:
    _, found, only = read(event)
    assert only is usage_only
    if "prompt_tokens" in json.dumps(event):
        assert SHAPES["chat"].usage(found) == Usage(7, 3)


@pytest.mark.parametrize("usage", [
    {**USAGE, "total_tokens": -1}, {**USAGE, "cached_tokens": "5"},
    {**USAGE, "prompt_tokens_details": []}, {**USAGE, "prompt_tokens_details": {"a": 1 << 80}},
    {**USAGE, "prompt_tokens_details": {"cached_tokens": 1 << 80}},
])
@pytest.mark.parametrize("large", [0, MENDED_BYTES_MAX])
def test_a_report_of_an_odd_form_is_read_as_far_as_it_can_be(usage: object, large: int) -> None:
    texts, found, only = read({"choices": [], "usage": usage})
    assert only and SHAPES["chat"].usage(found) == Usage(7, 3)
    delta = {"choices": [{"delta": {"content": "a" + " " * large}}], "usage": usage}
    texts, found, _ = read(delta)
    assert texts.kind(CONTENT).strip() == "a" and not found.unreported
    assert SHAPES["chat"].usage(found) == Usage(7, 3)


def test_usage_in_content_is_content() -> None:
    texts, found, _ = read({"choices": [{"delta": {"content": '"usage":{"prompt_tokens":0}'}}]})
    assert texts.kind(CONTENT) == '"usage":{"prompt_tokens":0}' and found.usage is None


@pytest.mark.parametrize(("event", "failed"), [
    ({"error": {"message": "x", "code": 502}, "choices": [{"finish_reason": "error"}]}, True),
    ({"error": "text"}, True),
    ({"choices": [{"delta": {}, "error": {"code": 1}}]}, True),
    ({"base_resp": {"status_code": 1002}}, True),
    ({"object": "error", "message": "x", "code": 500}, True),
    ({"object": "chat.completion.chunk", "message": "error"}, False),
    ({"choices": [{"delta": {"content": "a"}, "finish_reason": "error"}]}, True),
    ({"choices": [{"delta": {}, "finish_reason": "insufficient_system_resource"}]}, True),
    ({"choices": [{"delta": {}, "finish_reason": "network_error"}], "usage": USAGE}, True),
    ({"choices": [{"delta": {}, "finish_reason": "stop"}, {"finish_reason": "abort"}]}, True),
    ({"choices": [{"delta": {}, "finish_reason": "sensitive"}]}, False),
    ({"choices": [{"delta": {}, "finish_reason": ["error"]}]}, False),
    ({"choices": [], "x_groq": {"id": "r", "error": "over capacity"}}, True),
    ({"choices": [], "x_groq": {"id": "r", "error": None}}, False),
    ({"base_resp": {"status_code": 0}, "choices": []}, False),
    ({"error": None, "choices": []}, False),
])
def test_errors_under_200(event: object, failed: bool) -> None:
    assert read(event)[1].error == ("provider_stream_error" if failed else None)
    assert read(event, whole=True)[1].error == ("provider_failed" if failed else None)


def test_the_end() -> None:
    assert not read({"choices": [{"delta": {"content": "a"}, "finish_reason": None}]})[1].ended
    assert not read({"choices": [{"delta": {"content": "a"}, "finish_reason": ""}]})[1].ended
    assert read({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]})[1].ended
    assert read({"choices": [{"delta": {}, "finish_reason": "network_error"}]})[1].ended
    found = Findings()
    assert read_chat(b"[DONE]", found) is False and found.ended
