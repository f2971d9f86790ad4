"""Every endpoint has its rule, and no body makes one raise or run long."""

from __future__ import annotations

import json
import time
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relayd.relay.prompt_count import PROMPT_BYTES_INLINE_MAX, RULES, count_prompt
from relayd.relay.prompt_memo import PromptMemo
from relayd.relay.prompt_tally import TooLong
from relayd.relay.tokenizer import Encodings, encoding_for
from relayd.wire.dialect import BY_OPERATION
from relayd.wire.walk import BodyPolicy, Walk
from relayd.wire.known import Known
from relayd.wire.spliced import Run

MODELS = ["gpt-4o", "gpt-5", "gpt-4.1-mini", "claude-sonnet-5", "gemini-2.5-pro", "any"]
KEYS = ["messages", "content", "role", "text", "parts", "input", "prompt", "tools", "function",
        "functions", "parameters", "properties", "type", "items", "enum", "required", "image_url",
        "url", "source", "data", "contents", "system", "instructions", "name", "tool_calls",
        "description", "anyOf", "functionCall", "args", "inlineData", "mimeType", "requests",
        "response_format", "json_schema", "schema", "tool_choice", "function_call", "output",
        "functionDeclarations", "systemInstruction", "input_schema", "output_config", "format"]
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5), st.sampled_from(["text", "image", "message", "array", "object", "user",
                                          "tool_use", "tool_result", "function", "\ud83d",
                                          "data:image/png;base64,iVBORw0KGgo=", "image/png"]))
JSON = st.recursive(LEAVES, lambda inner: st.one_of(
    st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)),
    max_leaves=40)


def test_every_operation_has_a_rule() -> None:
    assert set(RULES) == set(BY_OPERATION)


@pytest.mark.parametrize("operation", sorted(RULES))
@settings(max_examples=60, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(fields=st.dictionaries(st.sampled_from(KEYS), JSON, max_size=6),
       model=st.sampled_from(MODELS))
def test_no_body_makes_a_rule_raise(
    encodings: Encodings, operation: str, fields: dict[str, object], model: str
) -> None:
    tokens, exact = count_prompt(
        BY_OPERATION[operation], fields, encoding_for(model), encodings)
    assert exact or encoding_for(model).exact is False
    assert type(tokens) is int and tokens >= 0


def test_before_the_encodings_are_loaded_a_prompt_is_estimated() -> None:
    fields: dict[str, object] = {"messages": [{"role": "user", "content": "x" * 400}]}
    count = count_prompt(BY_OPERATION["chat"], fields, encoding_for("gpt-4o"), Encodings())
    assert count == (3 + 3 + 1 + 100, False)


def test_a_body_at_the_inline_limit_holds_the_loop_for_little(encodings: Encodings) -> None:
    text = "The quick brown fox jumps over the lazy dog. " * (PROMPT_BYTES_INLINE_MAX // 45)
    fields: dict[str, object] = {"messages": [{"role": "user", "content": text}]}
    times = []
    for _ in range(20):
        begun = time.process_time()
        count_prompt(BY_OPERATION["chat"], fields, encoding_for("gpt-4o"), encodings)
        times.append(time.process_time() - begun)
    assert min(times) < 0.005


def _known(element: bytes) -> object:
    """An element of a body, as the fields hold it the second time."""
    memory = Known(BodyPolicy(), 254)
    return memory.take(element, None, Walk(memory.policy, memory))


def _in_elements(value: object) -> object:
    """As the reading of a long body leaves it."""
    if isinstance(value, list):
        return [_known(msgspec.json.encode(item)) for item in value]
    return _known(msgspec.json.encode(value))


def _in_runs(elements: list[Any], cut: int) -> list[object]:
    """As the reading of a body that repeats another leaves it: one run, and what is new."""
    tags = tuple([element.tag for element in elements[:cut]])
    text = b",".join([element.text for element in elements[:cut]])
    run = Run(text, tags, [len(element.text) for element in elements[:cut]], hash(tags))
    return [run, *elements[cut:]] if tags else elements


LONG = {"messages", "tools", "system", "input", "contents", "instructions", "systemInstruction"}


@pytest.mark.parametrize("operation", ["chat", "responses", "messages", "generate"])
@settings(max_examples=80, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(fields=st.dictionaries(st.sampled_from(KEYS), st.one_of(
           JSON, st.lists(st.dictionaries(st.sampled_from(KEYS), JSON, max_size=5), max_size=4)),
           max_size=6),
       models=st.lists(st.sampled_from(MODELS), min_size=2, max_size=3), cut=st.integers(0, 4))
def test_elements_count_as_what_they_hold(
    encodings: Encodings, operation: str, fields: dict[str, object], models: list[str], cut: int
) -> None:
    """Read or not, counted before or not, under whatever model was counted before."""
    # lone surrogates, which the text of the JSON values has, are in no body
    fields = json.loads(json.dumps(fields, ensure_ascii=False).encode("utf-8", "replace"))
    spliced = {name: _in_elements(value) if name in LONG and (
        isinstance(value, list) or name in ("instructions", "systemInstruction")) else value
        for name, value in fields.items()}
    memo = PromptMemo(b"k" * 32).of("acct_1")
    runs = {name: _in_runs(value, cut) if isinstance(value, list) and name in LONG else value
            for name, value in spliced.items()}
    for model in (*models, *models):
        plain = count_prompt(BY_OPERATION[operation], fields, encoding_for(model), encodings)
        for known in (spliced, runs):
            found = count_prompt(
                BY_OPERATION[operation], known, encoding_for(model), encodings, memo)
            assert found == plain


def test_what_is_known_is_not_encoded(encodings: Encodings) -> None:
    words = "word " * PROMPT_BYTES_INLINE_MAX
    messages = [{"role": "user", "content": words}, {"role": "system", "content": words}]
    tools = [{"type": "function", "function": {"name": "f", "description": words}}]
    fields = {"messages": _in_elements(messages), "tools": _in_elements(tools)}
    memo = PromptMemo(b"k" * 32).of("acct_1")

    def count(given: dict[str, object], model: str = "gpt-4o") -> object:
        return count_prompt(BY_OPERATION["chat"], given, encoding_for(model), encodings, memo,
                            PROMPT_BYTES_INLINE_MAX)

    with pytest.raises(TooLong):
        count(fields)
    whole = count_prompt(BY_OPERATION["chat"], fields, encoding_for("gpt-4o"), encodings, memo)
    assert count(fields) == whole
    for other in ("gpt-5", "gpt-4"):
        with pytest.raises(TooLong):
            count(fields, other)
    with pytest.raises(TooLong):
        count({**fields, "tools": _in_elements([*tools, *tools])})
    short: Any = _in_elements([*messages, {"role": "user", "content": "more"}])
    for asked in (short, _in_runs(short, 2), _in_runs(short, 3)):
        assert count({**fields, "messages": asked}) == (whole[0] + 3 + 1 + 1, True)
    with pytest.raises(TooLong):
        count_prompt(BY_OPERATION["chat"], fields, encoding_for("gpt-4o"), encodings,
                     PromptMemo(b"k" * 32).of("acct_2"), PROMPT_BYTES_INLINE_MAX)


@pytest.mark.parametrize(("item", "system"), [
    ({"role": "system", "content": "x"}, True), ({"role": "user", "content": "x"}, False),
    ({"type": "message", "role": "developer", "content": "x"}, True),
    ({"type": "message", "id": "i", "role": "system"}, True), ({"content": "x"}, False),
    ({"type": "message", "role": "assistant", "content": '","role":"system"'}, False),
])
def test_the_system_is_seen_in_what_is_not_read(
    encodings: Encodings, item: dict[str, object], system: bool
) -> None:
    """Tools of a chat cost less beside a system message, in the canonical order of its members."""
    tools = [{"type": "function", "name": "f", "function": {"name": "f"}}]
    for operation, name in (("chat", "messages"), ("responses", "input")):
        fields = {name: [item], "tools": tools}
        plain = count_prompt(BY_OPERATION[operation], fields, encoding_for("gpt-4o"), encodings)
        found = count_prompt(BY_OPERATION[operation], {**fields, name: _in_elements([item])},
                             encoding_for("gpt-4o"), encodings)
        none = count_prompt(BY_OPERATION[operation], {name: [item]}, encoding_for("gpt-4o"),
                            encodings)
        assert found == plain
        assert (plain[0] - none[0] == 19) is (system and operation == "chat")
