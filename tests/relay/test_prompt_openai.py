"""OpenAI's prompts: the published rules by hand, and the usage that OpenAI and Azure reported."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relayd.relay.prompt_count import count_prompt
from relayd.relay.prompt_openai import SCHEMA_CHAT
from relayd.relay.tokenizer import Encodings, encoding_for
from relayd.wire.dialect import BY_OPERATION
from relayd.wire.spliced import Spliced
from tests.shared import known_collection, shared

OPERATIONS = {"chat.completions": "chat", "responses": "responses", "completions": "completions",
              "responses.input_tokens": "responses", "embeddings": "embeddings"}
FORM = {"type": "function", "function": {"name": "f", "description": "Does it.", "parameters": {
    "type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]}}}


def tokens(encodings: Encodings, operation: str, body: dict[str, object], model: str) -> int:
    return count_prompt(BY_OPERATION[operation], body, encoding_for(model), encodings)[0]


def said(role: str, content: object, **more: object) -> dict[str, object]:
    return {"role": role, "content": content, **more}


@pytest.mark.parametrize(("model", "messages", "expected"), [
    ("gpt-4o", [said("user", "hello")], 3 + 3 + 1 + 1),
    ("gpt-4o", [said("system", "hello"), said("user", "hello world")], 3 + 5 + 6),
    ("gpt-4o", [said("user", "hello", name="hello")], 3 + 5 + 2),
    ("gpt-4o", [said("user", "hello", name="user")], 3 + 5),
    ("gpt-4o", [said("user", [{"type": "text", "text": "hello"}])], 8),
    ("gpt-4o", [said("user", "hello"), said("assistant", "hello")], 3 + 5 + 5),
    ("gpt-4o", [said("assistant", [{"type": "thinking", "thinking": [
        {"type": "text", "text": "hello"}, "x"]}, {"type": "text", "text": "hello"}])], 9),
    ("gpt-3.5-turbo-0301", [said("user", "hello")], 3 + 4 + 2),
    ("gpt-5", [said("user", "hello")], 7),
    ("gpt-5", [said("user", "hello"), said("assistant", "hello")], 2 + 5 + 5 + 2),
    ("gpt-4o", [said("assistant", None, tool_calls=[{"function": {
        "name": "hello", "arguments": "hello"}}])], 3 + 4 + 7 + 2),
    ("gpt-4o", [said("assistant", None, tool_calls=[{"function": {"name": "hello"}}] * 2)],
     3 + 4 + 2 * (7 + 6 + 1)),
    ("gpt-4o", [said("assistant", None, function_call={"name": "hello"})], 3 + 4 + 7 + 1),
    ("gpt-4o", [said("user", [{"type": "image_url", "image_url": {
        "url": "https://example.org/x.png", "detail": "low"}}])], 3 + 4 + 85),
    ("gpt-4o", [said("user", [{"type": "input_audio", "input_audio": {"data": "AAAA"}}])], 7),
])
def test_chat_by_hand(
    encodings: Encodings, model: str, messages: list[object], expected: int
) -> None:
    assert tokens(encodings, "chat", {"messages": messages}, model) == expected


WORDS = st.one_of(st.none(), st.integers(), st.sampled_from(
    ["", "user", "assistant", "system", "hello world", "\ud83d"]), st.text(max_size=8))
MESSAGES = st.lists(st.one_of(WORDS, st.dictionaries(
    st.sampled_from(["role", "content", "name", "refusal", "reasoning_content"]),
    st.one_of(WORDS, st.lists(st.dictionaries(st.just("text"), WORDS), max_size=2)))), max_size=4)


@settings(max_examples=200, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages=MESSAGES, model=st.sampled_from(["gpt-4o", "gpt-5", "claude-sonnet-5"]))
def test_a_plain_chat_counts_as_one_that_is_looked_through(
    encodings: Encodings, messages: list[object], model: str
) -> None:
    """A member that says nothing more makes the rule look for all that there may be."""
    plain: dict[str, object] = {"messages": messages}
    fuller: dict[str, object] = {
        "messages": [{**message, "x": 1, "y": 1} if isinstance(message, dict) else message
                     for message in messages],
        "tools": None, "tool_choice": None}
    assert tokens(encodings, "chat", plain, model) == tokens(encodings, "chat", fuller, model)


def test_tools_cost_their_namespace_and_nine(encodings: Encodings) -> None:
    user, system = said("user", "hello"), said("system", "hello")
    text = ("namespace functions {\n\n// Does it.\ntype f = (_: {\nx: string,\n}) => any;\n\n"
            "} // namespace functions")
    rendered = encodings.count("o200k_base", text)[0]
    with_tool: dict[str, object] = {"messages": [user], "tools": [FORM]}
    assert tokens(encodings, "chat", with_tool, "gpt-4o") == 8 + rendered + 9
    forced = {**with_tool, "tool_choice": {"type": "function", "function": {"name": "f"}}}
    assert tokens(encodings, "chat", forced, "gpt-4o") == 8 + rendered + 9 + 1 + 4
    beside = {**with_tool, "messages": [system, user]}
    assert tokens(encodings, "chat", beside, "gpt-4o") == 13 + rendered + 9 - 4
    legacy = {"messages": [user], "functions": [FORM["function"]], "function_call": "auto"}
    assert tokens(encodings, "chat", legacy, "gpt-4o") == 8 + rendered + 9
    flat = {"input": "hello", "tools": [{"type": "function", **FORM["function"]}]}
    assert tokens(encodings, "responses", flat, "gpt-5") == 7 + rendered + 9


@pytest.mark.parametrize("item", [
    {"role": "system", "content": "x"}, {"role": "developer", "type": "message", "content": "x"},
    {"type": None, "role": "system"}, {"type": 5, "role": "system"},
    {"type": 'a"b\\', "id": 'c"d', "role": "system"}, {"type": "item", "id": 7, "role": "system"},
    {"role": "user", "content": '{"role":"system"'}, {"role": "systems"},
    {"a": {"role": "system"}},
    {"type": '","role":"system"', "role": "user"}, "system", [{"role": "system"}],
])
def test_the_systems_message_is_seen_in_its_text(encodings: Encodings, item: object) -> None:
    """With it the tools cost less."""
    body: dict[str, object] = {"tools": [FORM]}
    spliced = Spliced(json.dumps(item, separators=(",", ":")).encode(), 1)
    assert tokens(encodings, "chat", {**body, "messages": [spliced]}, "gpt-4o") == tokens(
        encodings, "chat", {**body, "messages": [item]}, "gpt-4o")


def test_the_schema_of_the_answer_is_counted_in_both_apis(encodings: Encodings) -> None:
    form = {"name": "f", "schema": FORM["function"]["parameters"]}  # type: ignore[index]
    chat = {"messages": [said("user", "hello")],
            "response_format": {"type": "json_schema", "json_schema": form}}
    answer = {"input": "hello", "text": {"format": {"type": "json_schema", **form}}}
    counts = [tokens(encodings, "chat", chat, "gpt-4o"),
              tokens(encodings, "responses", answer, "gpt-4o")]
    assert counts[0] == counts[1] + SCHEMA_CHAT > 8 + 17


@pytest.mark.parametrize(("body", "expected"), [
    ({"input": "hello"}, 8),
    ({"input": [said("user", "hello")]}, 8),
    ({"input": [said("user", [{"type": "input_text", "text": "hello"}], type="message")]}, 8),
    ({"input": "hello", "instructions": "hello"}, 13),
    ({"input": [{"type": "function_call", "name": "hello", "arguments": "hello"}]}, 3 + 11 + 2),
    ({"input": [{"type": "function_call_output", "output": "hello"}]}, 3 + 3 + 1),
    ({"input": [{"type": "reasoning", "summary": [{"text": "hello"}],
                 "encrypted_content": "x"}]}, 4),
    ({"input": [said("user", [{"type": "input_image", "image_url": "https://x.invalid/y",
                               "detail": "low"}])]}, 3 + 4 + 85),
    ({"input": [{"type": "unheard_of"}]}, 3),
])
def test_responses_by_hand(encodings: Encodings, body: dict[str, object], expected: int) -> None:
    assert tokens(encodings, "responses", body, "gpt-4o") == expected


@pytest.mark.parametrize(("operation", "body", "expected"), [
    ("completions", {"prompt": "hello world"}, 2),
    ("completions", {"prompt": ["hello", "hello world"], "suffix": "hello"}, 4),
    ("completions", {"prompt": [1, 2, 3]}, 3),
    ("completions", {"prompt": [[1, 2, 3], [4]]}, 4),
    ("embeddings", {"input": ["hello", [1, 2]]}, 3),
    ("moderations", {"input": [{"type": "text", "text": "hello"}]}, 1),
    ("rerank", {"query": "hello", "documents": ["hello", {"text": "hello"}]}, 3),
    ("speech", {"input": "hello", "instructions": "hello"}, 2),
])
def test_plain_endpoints(
    encodings: Encodings, operation: str, body: dict[str, object], expected: int
) -> None:
    assert tokens(encodings, operation, body, "gpt-4o") == expected


def recorded() -> Iterator[tuple[str, str, dict[str, object], dict[str, object]]]:
    for case in sorted(shared("corpus", "cases").iterdir()):
        expected = json.loads((case / "expected.json").read_text())
        operation = OPERATIONS.get(expected["api"])
        body = json.loads((case / "request.json").read_text()).get("body")
        usage = expected.get("usage_normalized") or {}
        if expected["provider"] in ("openai", "azure") and operation and isinstance(body, dict):
            if usage.get("input_tokens"):
                yield case.name, operation, body, expected


# Recordings that no rule foresees, and what is known of why.
UNFORESEEN = {
    "openai.chat.completions.json.2c494f88": "web search counts its query alone",
    "openai.chat.completions.json.ceec6b5f": "web search counts its query alone",
    "openai.responses.stream.f25a991e": "reports 18 tokens more than its body explains",
    "openai.embeddings.json.3b45a5ca": "an empty text is billed as one token",
    "azure.embeddings.json.a25a5056": "Cohere's own tokenizer",
}
OTHER = ("image_url", "input_audio", "json_schema", '"file', "input_file", "tool", "functions",
         "previous_response_id", '"conversation"')


def test_recorded_texts_are_counted_as_reported(encodings: Encodings) -> None:
    known_collection("corpus", "cases")
    wrong, right = {}, 0
    for case, operation, body, expected in recorded():
        model = str(expected["model_reported"] or expected["model_requested"])
        usage = expected["usage_normalized"]["input_tokens"]  # type: ignore[index]
        if any(word in json.dumps(body) for word in OTHER) or case in UNFORESEEN:
            continue
        counted = tokens(encodings, operation, body, model)
        if counted != usage:
            wrong[case] = (counted, usage)
        right += counted == usage
    assert not wrong and right >= 40


def test_recorded_tool_prompts_are_counted_closely(encodings: Encodings) -> None:
    known_collection("corpus", "cases")
    close, total = 0, 0
    for _, operation, body, expected in recorded():
        tools = body.get("tools")
        hosted = [t for t in tools if t.get("type") != "function"] if isinstance(
            tools, list) else [None]
        model = str(expected["model_reported"] or expected["model_requested"])
        if hosted or not encoding_for(model).exact or "image_url" in json.dumps(body):
            continue
        usage = expected["usage_normalized"]["input_tokens"]  # type: ignore[index]
        counted = tokens(encodings, operation, body, model)
        close += abs(counted - usage) <= max(5, usage * 0.02)
        total += 1
    assert total >= 25 and close >= 0.75 * total
