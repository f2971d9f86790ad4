"""Tests of the demo provider's responses; the SDKs' view is in tests/e2e."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from relayd.demo.openai_responses import responses
from relayd.demo.reply import Plain, Streamed

ASK: dict[str, Any] = {"model": "gpt-5.5", "input": "hello"}
TOOL = {"type": "function", "name": "now", "parameters": {}}


def _whole(body: dict[str, Any]) -> dict[str, Any]:
    reply = responses(body)
    assert isinstance(reply, Plain)
    return orjson.loads(reply.body)


def _events(body: dict[str, Any]) -> list[dict[str, Any]]:
    reply = responses({**body, "stream": True})
    assert isinstance(reply, Streamed)
    found = []
    for event in reply.events + reply.end:
        name, data = event.removesuffix(b"\n\n").split(b"\n")
        found.append(orjson.loads(data.removeprefix(b"data: ")))
        assert name == b"event: " + found[-1]["type"].encode()
    return found


@pytest.mark.parametrize("extra", [
    {}, {"tools": [TOOL]}, {"reasoning": {"effort": "high"}}, {"max_output_tokens": 4}])
def test_stream_and_whole_agree(extra: dict[str, Any]) -> None:
    whole, events = _whole({**ASK, **extra}), _events({**ASK, **extra})
    final = events[-1]["response"]
    assert events[-1]["type"] == f"response.{whole['status']}"
    assert final["usage"] == whole["usage"]
    assert [item["type"] for item in final["output"]] == [i["type"] for i in whole["output"]]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))


def test_items_are_opened_and_closed_under_one_id() -> None:
    events = _events({**ASK, "model": "demo-think"})
    opened = [e["item"]["id"] for e in events if e["type"] == "response.output_item.added"]
    closed = [e["item"]["id"] for e in events if e["type"] == "response.output_item.done"]
    named = {e["item_id"] for e in events if "item_id" in e}
    assert opened == closed and named == set(opened) and len(opened) == 2


def test_deltas_are_the_text() -> None:
    events = _events(ASK)
    text = "".join(e["delta"] for e in events if e["type"] == "response.output_text.delta")
    assert text == events[-1]["response"]["output"][0]["content"][0]["text"]


def test_after_a_result_comes_text() -> None:
    items = [{"role": "user", "content": "time?"},
             {"type": "function_call", "name": "now", "call_id": "c", "arguments": "{}"},
             {"type": "function_call_output", "call_id": "c", "output": "noon"}]
    reply = _whole({**ASK, "input": items, "tools": [TOOL]})
    assert [item["type"] for item in reply["output"]] == ["message"]


@pytest.mark.parametrize(("choice", "kind"), [
    ("none", "message"), ("required", "function_call"),
    ({"type": "function", "name": "now"}, "function_call")])
def test_tool_choice(choice: Any, kind: str) -> None:
    assert _whole({**ASK, "tools": [TOOL], "tool_choice": choice})["output"][0]["type"] == kind


@pytest.mark.parametrize("body", [
    {}, {"input": 7}, {"input": [7]}, {"input": [{}], "tools": 7, "text": 7, "reasoning": "x"}])
def test_strange_requests_are_answered(body: dict[str, Any]) -> None:
    assert _whole(body)["status"] == "completed"


def test_an_error_is_a_failed_response() -> None:
    reply = responses({**ASK, "stream": True})
    assert isinstance(reply, Streamed)
    data = orjson.loads(reply.error.split(b"data: ")[1])
    assert data["type"] == "response.failed" and data["response"]["status"] == "failed"
    assert data["response"]["error"]["code"] == "server_error"
