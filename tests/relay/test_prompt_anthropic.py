"""Anthropic's prompts are estimates: near what was recorded, and whole in what they read."""

from __future__ import annotations

import json

import pytest

from relayd.relay.prompt_anthropic import TOOLS_SINCE_4_5, messages
from relayd.relay.prompt_tally import Tally
from relayd.relay.tokenizer import Encodings, ModelEncoding, encoding_for
from tests.shared import shared

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
    (asked([{"type": "tool_use", "name": "hello", "input": {}}]), 7 + 1 + 1),
    (asked([{"type": "tool_result", "content": "hello"}]), 8),
    (asked([{"type": "tool_result", "content": [{"type": "text", "text": "hello"}]}]), 8),
    (asked([{"type": "document", "source": {"type": "text", "data": "hello"}}]), 8),
    (asked([{"type": "document", "source": {"type": "base64", "data": "hello"}}]), 7),
    (asked([{"type": "image", "source": {"type": "url", "url": "https://x.invalid"}}]), 7 + 1398),
    (asked("hello", thinking={"type": "enabled"}), 8 + 28),
    (asked("hello", tools=[{"name": "hello", "description": "hello", "input_schema": {}}]),
     8 + 346 + 8 + 3),
    (asked("hello", tools=[{"name": "hello"}], tool_choice={"type": "any"}), 8 + 313 + 8 + 1),
    (asked("hello", output_config={"format": {"schema": {}}}), 8 + 150 + 1),
])
def test_messages_by_hand(encodings: Encodings, body: dict[str, object], expected: int) -> None:
    assert tokens(encodings, body) == expected


@pytest.mark.parametrize(("family", "more"), [
    ("claude", 0), ("claude-4.5", TOOLS_SINCE_4_5), ("claude-5", TOOLS_SINCE_4_5)])
def test_tools_cost_more_since_claude_4_5(
    encodings: Encodings, family: str, more: int
) -> None:
    encoding = ModelEncoding("o200k_base", False, 1000, family)
    assert tokens(encodings, asked("hello", tools=[{"name": "hello"}]), encoding) == (
        8 + 346 + 8 + 1 + more)
    assert tokens(encodings, asked("hello"), encoding) == 8


def test_recorded_texts_are_counted_closely(encodings: Encodings) -> None:
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
