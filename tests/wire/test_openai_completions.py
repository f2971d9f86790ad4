"""POST /v1/completions: the verdict of every field."""

from __future__ import annotations

from openai.types.completion_create_params import (
    CompletionCreateParamsNonStreaming, CompletionCreateParamsStreaming,
)

from tests.wire.asking import annotations, dropped, known, sent


def test_every_documented_field_has_a_verdict() -> None:
    params = annotations(CompletionCreateParamsNonStreaming, CompletionCreateParamsStreaming)
    assert params <= known("completions")


def test_token_ids_pass_and_usage_is_asked_for() -> None:
    body = {"prompt": [[1, 2], [3]], "stream": True, "model": "m", "user": "bob", "best_of": 2.0}
    assert sent("completions", body) == {
        "model": "m", "prompt": [[1, 2], [3]], "best_of": 2, "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert dropped("completions", body) == ("user",)
    assert "user" in sent("completions", body, end_user="account")


def test_an_empty_bias_is_none() -> None:
    body = {"model": "m", "prompt": "x"}
    assert sent("completions", {**body, "logit_bias": {}}) == body
