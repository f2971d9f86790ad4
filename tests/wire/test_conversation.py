"""The beginning of a conversation is the same at every turn, in every dialect."""

from __future__ import annotations

import json
from typing import Any

import pytest

from relayd.wire.conversation import TEXT_BYTES_MAX, beginning
from relayd.wire.spliced import Run, Spliced

MARK = {"cache_control": {"type": "ephemeral"}}
SYSTEM, FIRST, SECOND = "You are brief.", "Hello.", "And then?"


def chat(turn: int) -> dict[str, Any]:
    more = [{"role": "assistant", "content": "Hi."}, {"role": "user", "content": SECOND}]
    return {"messages": [{"role": "system", "content": SYSTEM},
                         {"role": "user", "content": FIRST}, *more * turn]}


def messages(turn: int) -> dict[str, Any]:
    more = [{"role": "assistant", "content": "Hi."}, {"role": "user", "content": SECOND}]
    first = {"type": "text", "text": FIRST, **({} if turn else MARK)}
    return {"system": [{"type": "text", "text": SYSTEM, **MARK}],
            "messages": [{"role": "user", "content": [first]}, *more * turn]}


def responses(turn: int) -> dict[str, Any]:
    if not turn:
        return {"instructions": SYSTEM, "input": FIRST}
    return {"instructions": SYSTEM, "input": [
        {"role": "user", "content": [{"type": "input_text", "text": FIRST}]},
        {"role": "user", "content": SECOND}]}


def gemini(turn: int) -> dict[str, Any]:
    return {"systemInstruction": {"parts": [{"text": SYSTEM}]},
            "contents": [{"parts": [{"text": FIRST}]}, *[{"parts": [{"text": "x"}]}] * turn]}


@pytest.mark.parametrize("body", [chat, messages, responses, gemini])
def test_turns_change_nothing(body: Any) -> None:
    expected = SYSTEM.encode() + b"\1" + FIRST.encode()
    assert [beginning(body(turn)) for turn in range(3)] == [expected] * 3


def test_elements_that_were_not_read_are_the_same() -> None:
    whole = chat(1)
    texts = [json.dumps(item).encode() for item in whole["messages"]]
    spliced = {"messages": [Spliced(text, 1) for text in texts]}
    assert beginning(spliced) == beginning(whole)
    for count in range(1, len(texts) + 1):
        run = Run(memoryview(b",".join(texts[:count])), [1] * count,
                  [len(text) for text in texts[:count]], 1)
        assert beginning({"messages": [run, *spliced["messages"][count:]]}) == beginning(whole)


@pytest.mark.parametrize("item", [None, {"role": ["user"]}, {"role": {"a": 1}}, "text", 7])
def test_a_conversation_begins_with_anything(item: object) -> None:
    whole = {"messages": [item, *chat(1)["messages"]]}
    spliced = {"messages": [Spliced(json.dumps(each).encode(), 1) for each in whole["messages"]]}
    assert beginning(spliced) == beginning(whole)
    assert bool(beginning(whole)) is (item is None or isinstance(item, str))


@pytest.mark.parametrize("fields", [
    {}, {"messages": []}, {"messages": None}, {"input": [1, None]}, {"prompt": "x"},
    {"messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]},
])
def test_no_conversation(fields: dict[str, object]) -> None:
    assert beginning(fields) == b""


def test_what_is_long_or_deep_or_no_text_is_bounded() -> None:
    long = {"messages": [{"role": "user", "content": "é" * TEXT_BYTES_MAX}]}
    assert len(beginning(long)) == TEXT_BYTES_MAX + 1
    deep: Any = "x"
    for _ in range(50):
        deep = {"content": [deep]}
    assert beginning({"messages": [deep]}) == b""
    assert beginning({"messages": [{"content": "\ud800"}]}) == b"\1\xed\xa0\x80"
