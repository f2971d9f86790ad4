"""Tests of the demo provider's Gemini dialect; the SDK's view is in tests/e2e."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from relayd.demo import gemini
from relayd.demo.reply import JSON, SSE

ASK: dict[str, Any] = {"model": "gemini-3.8-flash",
                       "contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
DECLARED = {"functionDeclarations": [
    {"name": "find", "parameters": {"type": "OBJECT",
                                    "properties": {"city": {"type": "STRING"}}}}]}


def _whole(body: dict[str, Any]) -> dict[str, Any]:
    return orjson.loads(gemini.generate(body).body)


def _chunks(body: dict[str, Any]) -> list[dict[str, Any]]:
    reply = gemini.stream(body)
    assert reply.content_type == SSE
    return [orjson.loads(event.removeprefix(b"data: ")) for event in reply.events + reply.end]


def _text(reply: dict[str, Any]) -> str:
    return "".join(p.get("text", "") for p in reply["candidates"][0]["content"]["parts"])


@pytest.mark.parametrize("extra", [
    {}, {"tools": [DECLARED]}, {"generationConfig": {"maxOutputTokens": 3}},
    {"generationConfig": {"thinkingConfig": {"includeThoughts": True}}}])
def test_stream_and_whole_agree(extra: dict[str, Any]) -> None:
    whole, chunks = _whole({**ASK, **extra}), _chunks({**ASK, **extra})
    assert chunks[-1]["usageMetadata"] == whole["usageMetadata"]
    assert chunks[-1]["candidates"][0]["finishReason"] == whole["candidates"][0]["finishReason"]
    assert not any("finishReason" in chunk["candidates"][0] for chunk in chunks[:-1])
    assert "".join(map(_text, chunks)) == _text(whole)


def test_usage_grows() -> None:
    totals = [chunk["usageMetadata"]["totalTokenCount"] for chunk in _chunks(ASK)]
    assert totals == sorted(set(totals))
    first = _chunks(ASK)[0]["usageMetadata"]
    assert first["totalTokenCount"] == first["promptTokenCount"] + first["candidatesTokenCount"]


def test_the_array_is_one_json_document() -> None:
    reply = gemini.stream_array(ASK)
    assert reply.content_type == JSON
    values = orjson.loads(b"".join(reply.events + reply.end))
    texts = [[c["candidates"][0]["content"] for c in chunks] for chunks in (values, _chunks(ASK))]
    assert texts[0] == texts[1]
    broken = orjson.loads(b"".join(reply.events[:3]) + reply.error)
    assert broken[-1]["error"]["code"] == 503
    assert reply.end[-1].endswith(b"]") and reply.error.endswith(b"]")


def test_an_answer_of_one_piece_is_an_array_too() -> None:
    reply = gemini.stream_array({**ASK, "generationConfig": {"maxOutputTokens": 1}})
    assert len(orjson.loads(b"".join(reply.events + reply.end))) == 1


@pytest.mark.parametrize("config", [
    {"toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["find"]}}},
    {"tool_config": {"function_calling_config": {"mode": "ANY"}}}, {}])
def test_calls_in_either_spelling(config: dict[str, Any]) -> None:
    for tools in (DECLARED, {"function_declarations": DECLARED["functionDeclarations"]}):
        parts = _whole({**ASK, "tools": [tools], **config})["candidates"][0]["content"]["parts"]
        assert parts[0]["functionCall"] == {"name": "find", "args": {"city": "Paris"}}
        assert parts[0]["thoughtSignature"]


def test_calls_that_are_not_wanted() -> None:
    off = {"toolConfig": {"functionCallingConfig": {"mode": "NONE"}}}
    result = [{"role": "user", "parts": [{"functionResponse": {"name": "find", "response": {}}}]}]
    for extra in (off, {"contents": ASK["contents"] + result}):
        body = {**ASK, "tools": [DECLARED], **extra}
        assert "text" in _whole(body)["candidates"][0]["content"]["parts"][0]


@pytest.mark.parametrize("config", [
    {"responseMimeType": "application/json",
     "responseSchema": {"type": "OBJECT", "properties": {"n": {"type": "INTEGER"}}}},
    {"response_mime_type": "application/json",
     "response_json_schema": {"type": "object", "properties": {"n": {"type": "integer"}}}}])
def test_structured(config: dict[str, Any]) -> None:
    parts = _whole({**ASK, "generationConfig": config})["candidates"][0]["content"]["parts"]
    assert orjson.loads(parts[0]["text"]) == {"n": 3}


def test_counts() -> None:
    total = orjson.loads(gemini.count(ASK).body)["totalTokens"]
    assert total == _whole(ASK)["usageMetadata"]["promptTokenCount"]
    assert orjson.loads(gemini.count({"generateContentRequest": ASK}).body)["totalTokens"] == total


def test_vectors() -> None:
    one = {"content": {"parts": [{"text": "hello"}]}, "outputDimensionality": 4}
    values = orjson.loads(gemini.embed(one).body)["embedding"]["values"]
    batch = orjson.loads(gemini.batch_embed({"requests": [one, one]}).body)["embeddings"]
    assert len(values) == 4 and batch == [{"values": values}] * 2
    usual = orjson.loads(gemini.embed({"content": one["content"]}).body)["embedding"]["values"]
    assert len(usual) == 3072


@pytest.mark.parametrize("body", [
    {}, {"contents": 7}, {"contents": [7]}, {"contents": {"parts": [{"text": "x"}]}},
    {"contents": [{"parts": 7}], "tools": [7], "generationConfig": 7, "toolConfig": []}])
def test_strange_requests_are_answered(body: dict[str, Any]) -> None:
    assert _whole(body)["candidates"][0]["content"]["parts"][0]["text"]
