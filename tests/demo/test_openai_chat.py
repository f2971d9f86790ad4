"""Tests of the demo provider's chat and completions; the SDKs' view is in tests/e2e."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from relayd.demo import openai_chat
from relayd.demo.reply import DONE, Plain, Streamed

ASK: dict[str, Any] = {"model": "gpt-5.5", "messages": [{"role": "user", "content": "hello"}]}
TOOL = {"type": "function", "function": {"name": "now", "parameters": {}}}


def _whole(body: dict[str, Any], operation: Any = openai_chat.chat) -> dict[str, Any]:
    reply = operation(body)
    assert isinstance(reply, Plain)
    return orjson.loads(reply.body)


def _chunks(body: dict[str, Any], operation: Any = openai_chat.chat) -> list[dict[str, Any]]:
    reply = operation({**body, "stream": True})
    assert isinstance(reply, Streamed)
    events = reply.events + reply.end
    assert events[-1] == DONE
    return [orjson.loads(event.removeprefix(b"data: ")) for event in events[:-1]]


def test_chunks_start_with_the_role_and_end_with_the_reason() -> None:
    chunks = _chunks(ASK)
    assert chunks[0]["choices"][0]["delta"] == {
        "role": "assistant", "content": "", "refusal": None}
    assert chunks[-1]["choices"][0] == {
        "index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}
    assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks}) == 1
    assert not any("usage" in chunk for chunk in chunks)


@pytest.mark.parametrize("extra", [{}, {"n": 2}, {"tools": [TOOL]}, {"max_tokens": 3}])
def test_streamed_usage_equals_that_of_the_whole(extra: dict[str, Any]) -> None:
    body = {**ASK, **extra}
    chunks = _chunks({**body, "stream_options": {"include_usage": True}})
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == _whole(body)["usage"]
    assert all(chunk["usage"] is None for chunk in chunks[:-1])


def test_a_call_comes_in_parts() -> None:
    body = {**ASK, "tools": [{"type": "function", "function": {
        "name": "find", "parameters": {"properties": {"city": {"type": "string"}}}}}]}
    calls = [c["choices"][0]["delta"]["tool_calls"][0] for c in _chunks(body)
             if "tool_calls" in c["choices"][0]["delta"]]
    assert calls[0]["function"] == {"name": "find", "arguments": ""} and calls[0]["id"]
    text = "".join(call["function"]["arguments"] for call in calls)
    assert orjson.loads(text) == {"city": "Paris"} and len(calls) > 2


@pytest.mark.parametrize(("choice", "called"), [
    ("auto", True), ("none", False), ("required", True),
    ({"type": "function", "function": {"name": "now"}}, True),
    ({"type": "function", "function": {"name": "later"}}, False),
    (7, True),
])
def test_tool_choice(choice: Any, called: bool) -> None:
    message = _whole({**ASK, "tools": [TOOL], "tool_choice": choice})["choices"][0]["message"]
    assert ("tool_calls" in message) is called


@pytest.mark.parametrize("body", [
    {}, {"messages": 7}, {"messages": [7, {}]}, {"messages": [], "tools": [{}], "n": "x"},
    {"messages": [{"role": "user", "content": 7}], "response_format": "json"},
])
def test_strange_requests_are_answered(body: dict[str, Any]) -> None:
    assert _whole(body)["choices"][0]["message"]["content"]


@pytest.mark.parametrize(("prompt", "tokens", "answers"), [
    ("one two", 2, 1), (["one", "two three"], 3, 2), ([1, 2, 3], 3, 1), ([[1, 2], [3]], 3, 2),
    (None, 1, 1)])
def test_prompts_of_every_form(prompt: Any, tokens: int, answers: int) -> None:
    reply = _whole({"model": "m", "prompt": prompt}, openai_chat.completions)
    assert reply["usage"]["prompt_tokens"] == tokens
    assert [choice["index"] for choice in reply["choices"]] == list(range(answers))


def test_completion_stream() -> None:
    body = {"model": "m", "prompt": "one", "stream_options": {"include_usage": True}}
    chunks = _chunks(body, openai_chat.completions)
    whole = _whole(body, openai_chat.completions)
    assert "".join(c["choices"][0]["text"] for c in chunks[:-1]) == whole["choices"][0]["text"]
    assert chunks[-1]["usage"] == whole["usage"]
