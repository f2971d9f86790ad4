"""What items and tools of Responses add to a prompt; figures as recorded, contents invented."""

from __future__ import annotations

import json

import pytest

from relayd.relay.prompt_count import count_prompt
from relayd.relay.prompt_items import (
    CARRIED_OUT, CUSTOM, GRAMMAR, OWN_TOOLS, THOUGHT_SHORTEST, functions, hidden,
)
from relayd.relay.tokenizer import Encodings, encoding_for
from relayd.wire.dialect import BY_OPERATION
from relayd.wire.spliced import Run, Spliced

USER = {"role": "user", "content": "hello"}
CUSTOM_TOOL = {"type": "custom", "name": "hello", "description": "hello"}
FUNCTION = {"type": "function", "name": "f", "parameters": {
    "type": "object", "properties": {"x": {"type": "string"}}}}
LOCAL = {"type": "shell", "environment": {"type": "local"}}


def counted(
    encodings: Encodings, model: str = "gpt-5.4", operation: str = "responses", **body: object
) -> int:
    return count_prompt(BY_OPERATION[operation], body, encoding_for(model), encodings)[0]


def thought(length: int) -> dict[str, object]:
    return {"type": "reasoning", "summary": [], "encrypted_content": "g" * length}


@pytest.mark.parametrize(("tool", "tokens"), [
    (LOCAL, OWN_TOOLS["shell"]),
    ({"type": "apply_patch"}, OWN_TOOLS["apply_patch"]),
    ({"type": "shell", "environment": {"type": "container_auto"}}, 0),
    ({"type": "shell"}, 0),
    ({"type": "web_search"}, OWN_TOOLS["web_search"]),
    ({"type": "code_interpreter", "container": {"type": "auto"}}, 0),
    ({"type": 5}, 0),
    (CUSTOM_TOOL, CUSTOM + 2),
    ({**CUSTOM_TOOL, "format": {"type": "text"}}, CUSTOM + 2),
    ({**CUSTOM_TOOL, "format": {"type": "grammar", "syntax": "lark", "definition": "hello"}},
     CUSTOM + 2 + GRAMMAR + 1),
    ({"type": "custom"}, CUSTOM),
])
def test_tools_that_are_no_functions(
    encodings: Encodings, tool: dict[str, object], tokens: int
) -> None:
    plain = counted(encodings, input=[USER])
    assert counted(encodings, input=[USER], tools=[tool]) == plain + tokens
    chat = {"type": "custom", "custom": {
        **{name: tool[name] for name in ("name", "description") if name in tool},
        "format": {"grammar": tool["format"]} if "definition" in str(tool) else {}}}
    if tool["type"] == "custom":
        plain = counted(encodings, operation="chat", messages=[USER])
        assert counted(
            encodings, operation="chat", messages=[USER], tools=[chat]) == plain + tokens


def test_the_model_is_shown_its_search_and_not_what_it_may_find() -> None:
    search = {"type": "tool_search", "execution": "client", "parameters": {"type": "object"}}
    hosted = {"type": "tool_search"}
    later = {**FUNCTION, "defer_loading": True}
    space = {"type": "namespace", "name": "n", "tools": [FUNCTION, later, CUSTOM_TOOL, 5]}
    assert functions([FUNCTION, search, hosted, later, LOCAL, space]) == [
        FUNCTION, {**search, "name": "tool_search"}, FUNCTION]


def test_what_a_search_found_is_shown(encodings: Encodings) -> None:
    item = {"type": "tool_search_output", "call_id": "c", "tools": [FUNCTION]}
    none = counted(encodings, input=[USER, {**item, "tools": []}])
    assert counted(encodings, input=[USER, item]) > none + 5


def test_what_a_search_asked_for(encodings: Encodings) -> None:
    item = {"type": "tool_search_call", "call_id": "c"}
    none = counted(encodings, input=[USER, {**item, "arguments": {}}])
    asked = counted(encodings, input=[USER, {**item, "arguments": {"queries": ["hello"]}}])
    assert asked > none


@pytest.mark.parametrize(("item", "tokens"), [
    ({"type": "shell_call", "action": {"commands": ["hello", 5, "hello"]}},
     CARRIED_OUT["shell_call"] + 2),
    ({"type": "shell_call", "action": {"commands": 5}}, CARRIED_OUT["shell_call"]),
    ({"type": "shell_call"}, CARRIED_OUT["shell_call"]),
    ({"type": "shell_call_output", "output": [
        {"stdout": "hello", "stderr": "hello", "outcome": {"type": "exit"}}, 5]}, 3 + 2),
    ({"type": "apply_patch_call", "operation": {"path": "hello", "diff": "hello"}},
     CARRIED_OUT["apply_patch_call"] + 2),
    ({"type": "apply_patch_call", "operation": 5}, CARRIED_OUT["apply_patch_call"]),
    ({"type": "apply_patch_call_output", "output": "hello"}, 3 + 1),
    ({"type": "local_shell_call", "action": {"command": ["hello", "hello"]}}, 15 + 2),
    ({"type": "mcp_call", "name": "hello", "arguments": "hello", "output": "hello"}, 15 + 3),
    ({"type": "code_interpreter_call", "code": "hello", "outputs": None}, 15 + 1),
    ({"type": "compaction", "encrypted_content": "g" * 1500}, hidden(1500)),
    ({"type": "compaction"}, 0),
    ({"type": "reasoning", "summary": [{"text": "hello"}]}, 1),
    ({"type": "reasoning", "summary": [{"text": "hello"}], "encrypted_content": "g"}, 0),
])
def test_items_by_hand(encodings: Encodings, item: dict[str, object], tokens: int) -> None:
    assert counted(encodings, input=[USER, item]) == counted(encodings, input=[USER]) + tokens


@pytest.mark.parametrize(("length", "tokens", "within"), [
    (952, 9, 5), (1164, 38, 10), (1612, 134, 20), (1528, 64, 45), (2572, 192, 80),
    (3980, 512, 25), (8150, 1024, 140),
])
def test_hidden_reasoning_by_its_length(length: int, tokens: int, within: int) -> None:
    """Lengths and tokens of recorded replies of GPT-5 and later."""
    assert hidden(length) == pytest.approx(tokens, abs=within)


@pytest.mark.parametrize("length", [0, 1, THOUGHT_SHORTEST])
def test_what_is_shorter_than_the_shortest_says_nothing(length: int) -> None:
    assert hidden(length) == 0


CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}


def test_reasoning_is_read_again_until_the_user_says_more(encodings: Encodings) -> None:
    before = [USER, thought(2000), CALL]
    going_on = counted(encodings, input=before)
    assert going_on == counted(encodings, input=[USER, thought(0), CALL]) + hidden(2000)
    two = counted(encodings, input=[*before, thought(3000), CALL])
    assert two == counted(encodings, input=[*before, CALL]) + hidden(3000)
    for next_one in (USER, {"type": "message", **USER}):
        ended = counted(encodings, input=[*before, next_one])
        assert ended == counted(encodings, input=[USER, thought(0), CALL, next_one])


@pytest.mark.parametrize("odd", [
    {"type": "reasoning", "encrypted_content": 5}, {"type": "reasoning"}, 5, None, [], "x"])
def test_odd_items_say_nothing(encodings: Encodings, odd: object) -> None:
    assert counted(encodings, input=[USER, odd]) == counted(encodings, input=[USER])


def test_reasoning_of_all_turns_is_read_again_where_that_is_asked_for(
    encodings: Encodings
) -> None:
    items = [USER, thought(2000), CALL, USER, thought(3000)]
    for given in (items, spliced(*items), [run(*items)]):
        last = counted(encodings, input=given, reasoning={"context": "current_turn"})
        assert counted(encodings, input=given) == last
        every = counted(encodings, input=given, reasoning={"context": "all_turns"})
        assert every == last + hidden(2000)


def test_a_screenshot_counts_as_an_image(encodings: Encodings) -> None:
    shot = {"type": "computer_screenshot", "image_url": "data:image/png;base64,AAAA"}
    item = {"type": "computer_call_output", "call_id": "c"}
    none = counted(encodings, input=[USER, {**item, "output": {}}])
    assert counted(encodings, input=[USER, {**item, "output": shot}]) > none + 500


def test_other_models_keep_their_reasoning_to_themselves(encodings: Encodings) -> None:
    for model in ("gpt-4o", "grok-4"):
        assert counted(encodings, model, input=[USER, thought(2000)]) == counted(
            encodings, model, input=[USER, thought(0)])


def spliced(*items: object) -> list[Spliced]:
    return [Spliced(json.dumps(item, separators=(",", ":")).encode(), number)
            for number, item in enumerate(items)]


def run(*items: object) -> Run:
    texts = [element.text for element in spliced(*items)]
    return Run(b",".join(texts), range(len(texts)), [len(text) for text in texts], 7)


@pytest.mark.parametrize("first", [
    {"role": "user", "content": "hello"}, {"type": "message", "role": "user", "content": "x"},
    {"type": "message", "role": "assistant", "content": "x"}, thought(2000)])
def test_items_that_were_not_read_count_as_those_that_were(
    encodings: Encodings, first: dict[str, object]
) -> None:
    empty = {"type": "reasoning", "summary": []}
    longer = {**thought(5000), "more": "x"}
    items = [thought(1500), first, thought(3000), CALL, empty, thought(4000), longer]
    read = counted(encodings, input=items)
    assert counted(encodings, input=spliced(*items)) == read
    assert counted(encodings, input=[run(*items)]) == read
    assert counted(encodings, input=[items[0], run(*items[1:4]), *items[4:]]) == read
    assert counted(encodings, input=[Run(memoryview(run(*items).text), *(
        getattr(run(*items), name) for name in ("tags", "sizes", "tag")))]) == read
