"""Anthropic messages: replies and events."""

from __future__ import annotations

import json

import pytest

from relayd.core.usage import Usage
from relayd.wire.reply import SHAPES
from relayd.wire.reply_messages import read_messages
from relayd.wire.replytext import ARGUMENTS, CONTENT, NAME, REASONING, Findings
from tests.fakes.texts import Texts


def usage_of(found: Findings) -> Usage | None:
    return SHAPES["messages"].usage(found)


def read(*values: object) -> tuple[Texts, Findings]:
    texts = Texts()
    found, blind = Findings(texts), Findings()
    for value in values:
        for each in (found, blind):
            assert read_messages(json.dumps(value).encode(), each) is False
    assert (blind.usage, blind.ended, blind.error) == (found.usage, found.ended, found.error)
    return texts, found


def delta(**fields: object) -> dict[str, object]:
    return {"type": "content_block_delta", "index": 1, "delta": fields}


@pytest.mark.parametrize(("event", "kind", "text"), [
    (delta(type="text_delta", text="hi"), CONTENT, "hi"),
    (delta(type="thinking_delta", thinking="hm"), REASONING, "hm"),
    (delta(type="input_json_delta", partial_json='{"a'), ARGUMENTS, '{"a'),
    ({"type": "content_block_start", "index": 1,
      "content_block": {"type": "tool_use", "name": "f", "input": {}}}, NAME, "f"),
    ({"type": "content_block_start", "index": 1,
      "content_block": {"type": "server_tool_use", "name": "f", "input": {}}}, NAME, "f"),
    ({"type": "content_block_start", "index": 0,
      "content_block": {"type": "text", "text": "hi"}}, CONTENT, "hi"),
    ({"type": "content_block_start", "index": 0,
      "content_block": {"type": "thinking", "thinking": "hm"}}, REASONING, "hm"),
    (delta(type="compaction_delta", content="in short"), CONTENT, "in short"),
    ({"type": "message", "content": [{"type": "compaction", "content": "in short"},
                                     {"type": "compaction", "content": None}]},
     CONTENT, "in short"),
])
def test_text(event: object, kind: int, text: str) -> None:
    texts, found = read(event)
    assert texts.kind(kind) == text and len(texts.streams) == 1 and not found.ended


@pytest.mark.parametrize("event", [
    delta(type="signature_delta", signature="AAAA"),
    delta(type="citations_delta", citation={"cited_text": "x"}),
    {"type": "content_block_start", "index": 1, "content_block": {
        "type": "web_search_tool_result", "content": [{"title": "x"}]}},
    {"type": "content_block_start", "content_block": {"type": "compaction", "content": None}},
    {"type": "content_block_start", "content_block": {"type": "compaction"}},
    {"content": [{"type": "web_search_tool_result", "content": "x"}]},
    {"type": "content_block_start", "content_block": {"type": "redacted_thinking", "data": "AA"}},
    {"type": "ping"},
    {"type": "content_block_stop", "index": 0},
])
def test_no_text(event: object) -> None:
    texts, found = read(event)
    assert not texts.streams and (found.usage, found.ended, found.error) == (None, False, None)


def test_usage_is_overlaid_never_added() -> None:
    start = {"type": "message_start", "message": {"content": [], "usage": {
        "input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": 8}}}
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {
        "input_tokens": None, "output_tokens": 41}}
    assert usage_of(read(start)[1]) == Usage(15, 8, 5)
    _, found = read(start, end, end)
    assert usage_of(found) == Usage(15, 41, 5)
    assert not found.ended
    assert read(start, end, {"type": "message_stop"})[1].ended


def test_searches_are_those_of_the_last_report() -> None:
    start = {"type": "message_start", "message": {"content": [], "usage": {
        "input_tokens": 10, "output_tokens": 1, "server_tool_use": {"web_search_requests": 0}}}}
    end = {"type": "message_delta", "delta": {}, "usage": {
        "output_tokens": 41, "server_tool_use": {"web_search_requests": 2}}}
    assert usage_of(read(start, end)[1]) == Usage(10, 41, searches=2)
    later = {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 42}}
    assert usage_of(read(start, end, later)[1]) == Usage(10, 42, searches=2)


@pytest.mark.parametrize("first", [{}, {"cache_creation": []}])
@pytest.mark.parametrize("last", [{}, {"cache_creation": "x"}])
def test_reports_of_an_odd_form_lie_over_each_other_too(
    first: dict[str, object], last: dict[str, object]
) -> None:
    _, found = read(
        {"type": "message_start", "message": {"usage": {
            "input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": 8, **first}}},
        {"type": "message_delta", "usage": {
            "output_tokens": 41, "input_tokens": None, "cache_read_input_tokens": 6, **last}})
    assert usage_of(found) == Usage(16, 41, 6)


def test_an_error_event() -> None:
    _, found = read({"type": "error", "error": {"type": "overloaded_error", "message": "x"}})
    assert found.error == "provider_stream_error" and not found.ended


def test_a_reply() -> None:
    texts, found = read({
        "type": "message", "stop_reason": "tool_use", "usage": {"input_tokens": 7}, "content": [
            {"type": "thinking", "thinking": "hm", "signature": "AAAA"},
            {"type": "text", "text": "hi"},
            {"type": "tool_use", "name": "f", "input": {"a": [1]}},
            {"type": "tool_use", "name": "g", "input": {}},
            {"type": "code_execution_tool_result", "content": {"stdout": "x"}},
        ]})
    assert (texts.kind(CONTENT), texts.kind(REASONING)) == ("hi", "hm")
    assert (texts.kind(NAME), texts.kind(ARGUMENTS)) == ("fg", '{"a":[1]}{}')
    assert usage_of(found) == Usage(7) and found.error is None


@pytest.mark.parametrize(("event", "fails"), [
    ({"type": "error"}, True), ({"error": {"type": "overloaded_error"}}, True),
    ({"type": "message_delta", "error": {"message": "x"}}, True),
    ({"type": "ping"}, False), ({"type": "message_delta", "error": None}, False), ({}, False),
])
def test_either_word_for_an_error_is_enough(event: dict[str, object], fails: bool) -> None:
    assert (read(event)[1].error is not None) is fails
