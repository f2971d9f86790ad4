"""The bounds that a request sets on what it makes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.wire.demand import IMAGE_TOKENS_MAX, VALUE_MAX, Bound, bound
from relayd.wire.dialect import BY_OPERATION


@pytest.mark.parametrize("operation, fields, expected", [
    ("chat", {"max_tokens": 5}, Bound(5)),
    ("chat", {"max_tokens": 5, "max_completion_tokens": 7}, Bound(7)),
    # alone it may say nothing to a provider
    ("chat", {"max_completion_tokens": 7, "n": 2}, Bound(14, 0, True)),
    ("completions", {"max_completion_tokens": 7}, Bound(None)),
    # a provider that does not know the newer name goes by the other one
    ("chat", {"max_tokens": 500, "max_completion_tokens": 7}, Bound(500)),
    # all that are made are paid, whatever is returned
    ("completions", {"max_tokens": 5, "best_of": 20}, Bound(100)),
    ("completions", {"max_tokens": 5, "best_of": 20, "n": 30}, Bound(150)),
    ("completions", {"max_tokens": 5, "prompt": ["a", "b", "c"], "n": 2}, Bound(30)),
    ("completions", {"max_tokens": 5, "prompt": [[1, 2], [3]]}, Bound(10)),
    ("completions", {"max_tokens": 5, "prompt": [1, 2, 3]}, Bound(5)),
    ("completions", {"max_tokens": 5, "prompt": []}, Bound(5)),
    ("completions", {"max_tokens": 5, "prompt": "abc"}, Bound(5)),
    ("chat", {"max_tokens": 5, "n": 3, "prompt": ["a", "b"]}, Bound(15)),
    ("chat", {}, Bound(None)), ("chat", {"max_tokens": None}, Bound(None)),
    ("chat", {"max_tokens": "many"}, Bound(None)), ("chat", {"max_tokens": True}, Bound(None)),
    ("chat", {"max_tokens": -1}, Bound(None)), ("chat", {"max_tokens": 10**30}, Bound(VALUE_MAX)),
    ("completions", {"max_tokens": 0}, Bound(0)), ("messages", {"max_tokens": 0}, Bound(0)),
    ("chat", {"max_tokens": 0}, Bound(None)),
    ("chat", {"max_tokens": 0, "max_completion_tokens": 9}, Bound(9, 0, True)),
    ("generate", {"generationConfig": {"maxOutputTokens": 0}}, Bound(None)),
    ("responses", {"max_output_tokens": 9}, Bound(9)),
    ("responses", {"max_tokens": 9}, Bound(None)),
    ("messages", {"max_tokens": 32_000}, Bound(32_000)),
    ("generate", {"generationConfig": {"maxOutputTokens": "12", "candidateCount": 2}}, Bound(24)),
    ("stream_generate", {"generationConfig": {"maxOutputTokens": 12.0}}, Bound(12)),
    ("generate", {"generationConfig": []}, Bound(None)), ("generate", {}, Bound(None)),
    ("embeddings", {}, Bound(0)), ("count_tokens", {"max_tokens": 3}, Bound(0)),
    ("image_generation", {"n": 4}, Bound(4 * IMAGE_TOKENS_MAX, 4)),
    ("image_generation", {}, Bound(IMAGE_TOKENS_MAX, 1)),
    ("image_generation", {"n": 1 << 30}, Bound(VALUE_MAX, 1 << 30)),
    ("image_edit", {}, Bound(IMAGE_TOKENS_MAX, 1)), ("speech", {}, Bound(None)),
])
def test_the_bound_of_a_body(operation: str, fields: dict[str, Any], expected: Bound) -> None:
    assert bound(operation, fields) == expected


@pytest.mark.parametrize("operation", sorted(BY_OPERATION))
@given(fields=st.dictionaries(
    st.sampled_from(["max_tokens", "max_completion_tokens", "n", "generationConfig", "prompt"]),
    st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
                 lambda inner: st.dictionaries(st.just("maxOutputTokens"), inner), max_leaves=3)))
def test_any_body_has_one(operation: str, fields: dict[str, Any]) -> None:
    found = bound(operation, fields)
    assert found.tokens is None or 0 <= found.tokens <= VALUE_MAX
