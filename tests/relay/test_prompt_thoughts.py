"""Thoughts that chats give back: read again until the user's next message; contents invented."""

from __future__ import annotations

import json

import pytest

from relayd.relay.prompt_count import count_prompt
from relayd.relay.prompt_memo import PromptMemo
from relayd.relay.prompt_tally import Tally
from relayd.relay.prompt_thoughts import thoughts
from relayd.relay.tokenizer import Encodings, encoding_for
from relayd.wire.dialect import BY_OPERATION
from relayd.wire.spliced import Run, Spliced

USER = {"role": "user", "content": "hello"}
CALL = {"role": "assistant", "content": "", "tool_calls": [
    {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}
RESULT = {"role": "tool", "tool_call_id": "c", "content": "hello"}
THOUGHT = "hello hello hello hello hello"
TOKENS = 5
NAMED = [
    {"reasoning_content": THOUGHT}, {"reasoning": THOUGHT},
    {"reasoning_content": THOUGHT, "reasoning": THOUGHT}, {"reasoning": THOUGHT, "x": None},
    {"reasoning_details": [{"type": "reasoning.text", "text": THOUGHT}]},
    {"reasoning": THOUGHT, "reasoning_details": [{"type": "reasoning.text", "text": THOUGHT}]},
]


def counted(encodings: Encodings, messages: list[object], model: str = "qwen3") -> int:
    return count_prompt(
        BY_OPERATION["chat"], {"messages": messages}, encoding_for(model), encodings)[0]


def texts(*messages: object) -> list[bytes]:
    return [json.dumps(message, separators=(",", ":")).encode() for message in messages]


def spliced(*messages: object) -> list[object]:
    return [Spliced(text, hash(text)) for text in texts(*messages)]


def run(*messages: object, view: bool = False) -> Run:
    each = texts(*messages)
    tags, text = [*map(hash, each)], b",".join(each)
    return Run(memoryview(text) if view else text, tags, [*map(len, each)], hash(tuple(tags)))


@pytest.mark.parametrize("named", NAMED)
@pytest.mark.parametrize("model", ["qwen3", "gpt-oss:20b", "glm-4.7", "deepseek-reasoner"])
def test_thoughts_count_until_the_user_says_more(
    encodings: Encodings, named: dict[str, object], model: str
) -> None:
    thinking = {**CALL, **named}
    plain = counted(encodings, [USER, CALL, RESULT], model)
    assert counted(encodings, [USER, thinking, RESULT], model) == plain + TOKENS
    ended = counted(encodings, [USER, CALL, RESULT, USER], model)
    assert counted(encodings, [USER, thinking, RESULT, USER], model) == ended


@pytest.mark.parametrize("odd", [
    {"reasoning_content": 5}, {"reasoning": {"text": "x"}}, {"reasoning_details": "x"},
    {"reasoning_details": [5, {"text": 5}, {"type": "reasoning.encrypted", "data": "eA=="}]}])
def test_what_is_no_text_says_nothing(encodings: Encodings, odd: dict[str, object]) -> None:
    assert counted(encodings, [USER, {**CALL, **odd}]) == counted(encodings, [USER, CALL])


def test_thoughts_within_answers_are_taken_out_by_some_templates(encodings: Encodings) -> None:
    answer = {"role": "assistant", "content": "hello"}
    tagged = {"role": "assistant", "content": THOUGHT + "</think>hello"}
    assert counted(encodings, [USER, tagged]) == counted(encodings, [USER, answer]) + TOKENS
    assert counted(encodings, [USER, tagged, USER]) == counted(encodings, [USER, answer, USER])
    others = counted(encodings, [USER, answer, USER], "gpt-4o")
    assert counted(encodings, [USER, tagged, USER], "gpt-4o") > others + TOKENS
    said = {"role": "user", "content": tagged["content"]}
    assert counted(encodings, [said]) > counted(encodings, [USER]) + TOKENS


THINKING = {**CALL, "reasoning_content": THOUGHT}
CHATS = [
    [USER, THINKING, RESULT, THINKING, RESULT], [USER, THINKING, RESULT, USER, THINKING, RESULT],
    [USER, THINKING, RESULT, USER], [THINKING, RESULT], [USER], []]


@pytest.mark.parametrize("messages", CHATS)
def test_messages_that_were_not_read_count_as_those_that_were(
    encodings: Encodings, messages: list[object]
) -> None:
    read = counted(encodings, messages)
    assert counted(encodings, spliced(*messages)) == read
    for split in range(len(messages)):
        before, after = messages[:split], messages[split:]
        for view in (False, True):
            assert counted(encodings, [*before, run(*after, view=view)]) == read
        assert counted(encodings, [run(*before), *after] if before else after) == read


def test_the_memo_knows_thoughts_apart_from_messages(encodings: Encodings) -> None:
    memo, model = PromptMemo(b"secret").of("account"), encoding_for("qwen3")
    for messages in (*CHATS, *CHATS):
        for given in (spliced(*messages), [run(*messages)] if messages else []):
            body: dict[str, object] = {"messages": given}
            assert count_prompt(BY_OPERATION["chat"], body, model, encodings, memo)[0] == counted(
                encodings, messages)


@pytest.mark.parametrize("messages", [None, "x", {}, 5, [5, None], [[THINKING]]])
def test_what_is_no_list_of_messages_has_no_thoughts(
    encodings: Encodings, messages: object
) -> None:
    tally = Tally(encodings, encoding_for("qwen3"))
    thoughts(tally, messages)
    assert tally.total() == 0


def test_a_run_that_is_known_is_not_looked_through(encodings: Encodings) -> None:
    memo = PromptMemo(b"secret").of("account")
    for messages, tokens in (([THINKING, RESULT], TOKENS), ([USER, THINKING], TOKENS),
                             ([THINKING, USER], 0)):
        known = run(*messages)
        for given in (known, Run(b"", known.tags, [], known.tag)):
            tally = Tally(encodings, encoding_for("qwen3"), memo)
            thoughts(tally, [given])
            assert tally.total() == tokens
