"""Gemini: replies and parts of streams."""

from __future__ import annotations

import json

import pytest

from relayd.wire.reply_gemini import read_gemini
from relayd.wire.replytext import ARGUMENTS, CONTENT, NAME, REASONING, Findings
from tests.fakes.texts import Texts


def read(*values: object) -> tuple[Texts, Findings]:
    texts = Texts()
    found, blind = Findings(texts), Findings()
    for value in values:
        for each in (found, blind):
            assert read_gemini(json.dumps(value).encode(), each) is False
    assert (blind.usage, blind.ended, blind.error) == (found.usage, found.ended, found.error)
    return texts, found


@pytest.mark.parametrize(("part", "kind", "text"), [
    ({"text": "hi"}, CONTENT, "hi"),
    ({"text": "hi", "thought": False}, CONTENT, "hi"),
    ({"text": "hm", "thought": True}, REASONING, "hm"),
    ({"executableCode": {"language": "PYTHON", "code": "1+1"}}, ARGUMENTS, "1+1"),
])
def test_text(part: object, kind: int, text: str) -> None:
    event = {"candidates": [{"content": {"parts": [part], "role": "model"}, "index": 0}]}
    texts, found = read(event)
    assert texts.kind(kind) == text and len(texts.streams) == 1 and not found.ended


def test_calls() -> None:
    texts, _ = read({"candidates": [{"content": {"parts": [
        {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "AAAA"}]}}]})
    assert (texts.kind(NAME), texts.kind(ARGUMENTS)) == ("f", '{"a":1}')


@pytest.mark.parametrize("event", [
    {"candidates": [{"content": {"parts": [{"inlineData": {"data": "AAAA"}}]}}]},
    {"candidates": [{"content": {"parts": [{"codeExecutionResult": {"output": "2"}}]}}]},
    {"candidates": [{"content": {}}, {}, {"content": None}]},
    {"candidates": None},
    {"embedding": {"values": [0.1]}},
])
def test_no_text(event: object) -> None:
    texts, found = read(event)
    assert not texts.streams and (found.usage, found.ended, found.error) == (None, False, None)


def test_the_last_usage_counts() -> None:
    _, found = read({"usageMetadata": {"promptTokenCount": 1}},
                    {"usageMetadata": {"promptTokenCount": 2}},
                    {"usageMetadata": None}, {"usageMetadata": [3]}, {"candidates": []})
    assert found.usage_object() == {"promptTokenCount": 2}


@pytest.mark.parametrize("report", [{}, {"trafficType": "ON_DEMAND"}])
def test_a_report_without_counts_stands_for_none(report: object) -> None:
    text = {"candidates": [{"content": {"parts": [{"text": "hi"}]}}], "usageMetadata": report}
    _, found = read({"usageMetadata": {"promptTokenCount": 2}}, text)
    assert found.usage_object() == {"promptTokenCount": 2} and found.unreported
    _, found = read(text, {"usageMetadata": {"promptTokenCount": 2}})
    assert found.usage_object() == {"promptTokenCount": 2} and not found.unreported


@pytest.mark.parametrize(("values", "searches"), [
    ([["a", "b"]], 2),
    ([["", "a"]], 1),
    ([["a"], ["a", "b"], ["a", "b"]], 2),
    ([[]], 0), ([None], 0), (["ab"], 0),
])
def test_searches_are_counted_once(values: list[object], searches: int) -> None:
    _, found = read(*[
        {"candidates": [{"groundingMetadata": {"webSearchQueries": each}}]} for each in values])
    assert found.searches == searches


def test_searches_of_all_candidates_count() -> None:
    grounded = {"groundingMetadata": {"webSearchQueries": ["a"]}}
    assert read({"candidates": [grounded, {}, grounded]})[1].searches == 2
    assert read({"candidates": [{"groundingMetadata": None}]})[1].searches == 0


@pytest.mark.parametrize("odd", ["x", [], 5, True, [{"webSearchQueries": ["a"]}]])
def test_what_cannot_be_read_of_searches_costs_nothing_else(odd: object) -> None:
    texts, found = read({"candidates": [{
        "content": {"parts": [{"text": "hi"}]}, "finishReason": "STOP",
        "groundingMetadata": odd}], "usageMetadata": {"promptTokenCount": 2}})
    assert "".join(texts.streams.values()) == "hi" and found.ended
    assert found.usage_object() == {"promptTokenCount": 2} and found.searches == 0


@pytest.mark.parametrize(("event", "ended", "error"), [
    ({"candidates": [{"finishReason": "STOP"}]}, True, None),
    ({"candidates": [{"finishReason": None}]}, False, None),
    ({"promptFeedback": {"blockReason": "SAFETY"}}, True, None),
    ({"promptFeedback": {}}, False, None),
    ({"error": {"code": 503, "status": "UNAVAILABLE"}}, False, "provider_stream_error"),
])
def test_how_a_stream_ends(event: object, ended: bool, error: str | None) -> None:
    _, found = read(event)
    assert (found.ended, found.error) == (ended, error)
