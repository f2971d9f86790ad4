"""Tests of the demo provider's messages; the SDK's view is in tests/e2e."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from relayd.demo.anthropic import count_tokens, messages
from relayd.demo.reply import Plain, Streamed

ASK: dict[str, Any] = {"model": "claude-opus-5-5", "max_tokens": 1000,
                       "messages": [{"role": "user", "content": "hello"}]}
TOOL = {"name": "find", "input_schema": {"properties": {"city": {"type": "string"}}}}
MARKED = [{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}]


def _whole(body: dict[str, Any]) -> dict[str, Any]:
    reply = messages(body)
    assert isinstance(reply, Plain)
    return orjson.loads(reply.body)


def _events(body: dict[str, Any]) -> list[dict[str, Any]]:
    reply = messages({**body, "stream": True})
    assert isinstance(reply, Streamed)
    found = []
    for event in reply.events + reply.end:
        name, data = event.removesuffix(b"\n\n").split(b"\n")
        found.append(orjson.loads(data.removeprefix(b"data: ")))
        assert name == b"event: " + found[-1]["type"].encode()
    return found


def test_the_order_of_events() -> None:
    kinds = [event["type"] for event in _events(ASK)]
    assert kinds[:4] == ["message_start", "content_block_start", "ping", "content_block_delta"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]


@pytest.mark.parametrize("extra", [
    {}, {"tools": [TOOL]}, {"thinking": {"type": "enabled"}}, {"max_tokens": 3},
    {"system": MARKED}])
def test_stream_and_whole_agree(extra: dict[str, Any]) -> None:
    whole, events = _whole({**ASK, **extra}), _events({**ASK, **extra})
    final = events[-2]
    assert final["delta"]["stop_reason"] == whole["stop_reason"]
    names = ("input_tokens", "output_tokens", "cache_read_input_tokens",
             "cache_creation_input_tokens")
    assert [final["usage"][n] for n in names] == [whole["usage"][n] for n in names]
    opened = [e["content_block"]["type"] for e in events if e["type"] == "content_block_start"]
    assert opened == [block["type"] for block in whole["content"]]
    first = events[0]["message"]
    assert first["content"] == [] and first["stop_reason"] is None
    assert first["usage"]["input_tokens"] == whole["usage"]["input_tokens"]


def test_a_call_comes_in_parts() -> None:
    events = _events({**ASK, "tools": [TOOL]})
    parts = [e["delta"]["partial_json"] for e in events if e["type"] == "content_block_delta"]
    assert parts[0] == "" and orjson.loads("".join(parts)) == {"city": "Paris"}


def test_a_thought_ends_with_its_signature() -> None:
    events = [e for e in _events({**ASK, "model": "demo-think"})
              if e["type"] == "content_block_delta" and e["index"] == 0]
    assert {e["delta"]["type"] for e in events[:-1]} == {"thinking_delta"}
    assert events[-1]["delta"]["type"] == "signature_delta"


@pytest.mark.parametrize(("choice", "reason"), [
    ({"type": "auto"}, "tool_use"), ({"type": "any"}, "tool_use"), ({"type": "none"}, "end_turn"),
    ({"type": "tool", "name": "find"}, "tool_use")])
def test_tool_choice(choice: Any, reason: str) -> None:
    assert _whole({**ASK, "tools": [TOOL], "tool_choice": choice})["stop_reason"] == reason


def test_after_a_result_comes_text_whatever_reminders_follow() -> None:
    turns = [*ASK["messages"],
             {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t",
                                           "content": "21 degrees"}]},
             {"role": "system", "content": "be brief"}]
    assert _whole({**ASK, "messages": turns, "tools": [TOOL]})["stop_reason"] == "end_turn"


@pytest.mark.parametrize("extra", [
    {"output_config": {"format": {"type": "json_schema", "schema": TOOL["input_schema"]}}},
    {"output_format": {"type": "json_schema", "schema": TOOL["input_schema"]}}])
def test_structured(extra: dict[str, Any]) -> None:
    assert orjson.loads(_whole({**ASK, **extra})["content"][0]["text"]) == {"city": "Paris"}


@pytest.mark.parametrize("holder", [
    {"cache_control": {"type": "ephemeral"}}, {"system": MARKED},
    {"tools": [{**TOOL, "cache_control": {}}]},
    {"messages": [{"role": "user", "content": MARKED}]}])
def test_cached_input_is_counted_apart(holder: dict[str, Any]) -> None:
    body = {**ASK, **holder}
    usage = _whole(body)["usage"]
    whole = orjson.loads(count_tokens(body).body)["input_tokens"]
    assert usage["cache_read_input_tokens"] == whole // 2
    assert usage["input_tokens"] + usage["cache_read_input_tokens"] == whole


@pytest.mark.parametrize("body", [
    {}, {"messages": 7}, {"messages": [7, {"content": [7]}], "tools": [{}], "tool_choice": 7}])
def test_strange_requests_are_answered(body: dict[str, Any]) -> None:
    assert _whole(body)["content"][0]["text"]
