"""Every endpoint has its rule, and no body makes one raise or run long."""

from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relayd.relay.prompt_count import PROMPT_BYTES_INLINE_MAX, RULES, count_prompt
from relayd.relay.tokenizer import Encodings, encoding_for
from relayd.wire.dialect import BY_OPERATION

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
