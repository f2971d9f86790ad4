"""Anthropic's prompts are estimates: near what was recorded, and whole in what they read."""

from __future__ import annotations

import json

import pytest

from relayd.relay.prompt_anthropic import FRAMES, OWN_TOOLS, messages
from relayd.relay.prompt_tally import Tally
from relayd.relay.tokenizer import FAMILIES, Encodings, ModelEncoding, encoding_for
from tests.shared import known_collection, shared

PLAIN = ModelEncoding("o200k_base", False, 1000, "claude")


def tokens(
    encodings: Encodings, body: dict[str, object], encoding: ModelEncoding = PLAIN
) -> int:
    tally = Tally(encodings, encoding)
    messages(tally, body)
    return tally.total()


def asked(content: object, **more: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": content}], **more}


@pytest.mark.parametrize(("body", "expected"), [
    (asked("hello"), 8),
    (asked([{"type": "text", "text": "hello"}]), 8),
    (asked("hello", system="hello"), 9),
    (asked("hello", system=[{"type": "text", "text": "hello"}]), 9),
    ({"messages": [{"role": "user", "content": "hello"}] * 3}, 4 + 3 * 4),
    (asked([{"type": "tool_use", "name": "hello", "input": {}}]), 7 + 35 + 1 + 1),
    (asked([{"type": "server_tool_use", "name": "hello", "input": {"a": 1, "b": 2}}]),
     7 + 35 + 2 * 10 + 1 + 9),
    (asked([{"type": "mcp_tool_use", "name": "hello", "input": "hello"}]), 7 + 35 + 1 + 3),
    (asked([{"type": "tool_result", "content": "hello"}]), 8 + 20),
    (asked([{"type": "tool_result", "content": [{"type": "text", "text": "hello"}]}]), 8 + 20),
    (asked([{"type": "tool_result", "content": [{"type": "tool_reference"}]}]), 7 + 20 + 80),
    (asked([{"type": "tool_addition", "tool": {"type": "tool_reference"}}]), 7 + 80),
    (asked([{"type": "code_execution_tool_result", "content": {"stdout": "hello"}}]), 8),
    (asked([{"type": "web_fetch_tool_result", "content": {"type": "web_fetch_result", "content": {
        "type": "document", "source": {"type": "text", "data": "hello"}}}}]), 8),
    (asked([{"type": "document", "source": {"type": "text", "data": "hello"}}]), 8),
    (asked([{"type": "document", "source": {"type": "base64", "data": "hello"}}]), 7),
    (asked([{"type": "image", "source": {"type": "url", "url": "https://x.invalid"}}]), 7 + 1398),
    (asked([{"type": "thinking", "thinking": "hello", "signature": "hello"}]), 8),
    (asked([{"type": "redacted_thinking", "data": "hello"}]), 7),
    (asked([{"type": "compaction", "content": "hello"}]), 8),
    (asked([{"type": 7, "content": 7, "text": 7}]), 7),
    (asked([{"type": [], "text": "hello"}, {"type": {}, "content": [{"type": []}]}]), 8),
    (asked("hello", tools=[{"type": []}], tool_choice=[], output_format=[], thinking=[]),
     8 + 313 + 25),
    (asked("hello", thinking={"type": "enabled"}), 8 + 28),
    (asked("hello", tools=[{"name": "hello", "description": "hello", "input_schema": {}}]),
     8 + 313 + 25 + 3),
    (asked("hello", tools=[{"name": "hello", "input_examples": [{}]}]), 8 + 313 + 25 + 4),
    (asked("hello", tools=[{"name": "hello"}], tool_choice={"type": "any"}), 8 + 315 + 25 + 1),
    (asked("hello", tools=[{"name": "hello"}, {"name": "hello", "defer_loading": True}]),
     8 + 313 + 25 + 1),
    (asked("hello", tools=[{"name": "hello", "type": "bash_20250124"}]),
     8 + 313 + 25 + OWN_TOOLS["bash"] + 1),
    (asked("hello", tools=[{"name": "hello", "type": "custom"}]), 8 + 313 + 25 + 1),
    (asked("hello", output_config={"format": {"schema": {}}}), 8 + 140 + 1),
    (asked("hello", output_format={"type": "json_schema", "schema": {}}), 8 + 140 + 1),
])
def test_messages_by_hand(encodings: Encodings, body: dict[str, object], expected: int) -> None:
    assert tokens(encodings, body) == expected


@pytest.mark.parametrize(("family", "more", "forced"), [
    ("claude-3", 270 + 25, 0), ("claude", 313 + 25, 2), ("claude-4.5", 496 + 18, 92),
    ("claude-5", 300 + 18, 120), ("glm", 496 + 18, 92)])
def test_tools_cost_what_the_family_puts_around_them(
    encodings: Encodings, family: str, more: int, forced: int
) -> None:
    encoding = ModelEncoding("o200k_base", False, 1000, family)
    body = asked("hello", tools=[{"name": "hello"}])
    assert tokens(encodings, body, encoding) == 8 + 1 + more
    body["tool_choice"] = {"type": "tool", "name": "hello"}
    assert tokens(encodings, body, encoding) == 8 + 1 + more + forced
    assert tokens(encodings, asked("hello"), encoding) == 8


def test_families_are_those_of_the_tokenizer() -> None:
    assert set(FRAMES) <= set(FAMILIES)


RECORDED_CALL = [
    {"role": "user", "content": "Which way does the ferry to the island go?"},
    {"role": "assistant", "content": [
        {"type": "tool_use", "id": "a", "name": "ferry_times", "input": {"day": "Sunday"}}]},
    {"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": "a", "content": "At noon, from the pier."}]},
]


@pytest.mark.parametrize(("model", "round_trip"), [
    ("claude-haiku-4-5", 76), ("claude-opus-5", 71), ("claude-sonnet-4-0", 90)])
def test_a_call_and_its_result_cost_about_what_was_recorded(
    encodings: Encodings, model: str, round_trip: int
) -> None:
    encoding = encoding_for(model)
    more = (tokens(encodings, {"messages": RECORDED_CALL}, encoding)
            - tokens(encodings, {"messages": RECORDED_CALL[:1]}, encoding))
    assert abs(more - round_trip) <= 12


def test_recorded_texts_are_counted_closely(encodings: Encodings) -> None:
    known_collection("corpus", "cases")
    near, total = 0, 0
    for case in sorted(shared("corpus", "cases").glob("anthropic.messages.*")):
        expected = json.loads((case / "expected.json").read_text())
        body = json.loads((case / "request.json").read_text()).get("body")
        usage = (expected.get("usage_normalized") or {}).get("input_tokens")
        if not usage or not isinstance(body, dict) or body.get("tools") or "mcp_servers" in body:
            continue
        if '"image"' in json.dumps(body) or '"document"' in json.dumps(body):
            continue
        counted = tokens(encodings, body, encoding_for(expected["model_requested"]))
        near += abs(counted - usage) <= max(3, 0.1 * usage)
        total += 1
    assert total >= 15 and near >= 0.75 * total
