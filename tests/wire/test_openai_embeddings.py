"""POST /v1/embeddings: the verdict of every field."""

from __future__ import annotations

import pytest
from openai.types.embedding_create_params import EmbeddingCreateParams

from tests.wire.asking import annotations, dropped, known, sent


def test_every_documented_field_has_a_verdict() -> None:
    assert annotations(EmbeddingCreateParams) <= known("embeddings")


@pytest.mark.parametrize("given", ["a", ["a", "b"], [1, 2, 3], [[1], [2]]])
def test_input_passes(given: object) -> None:
    body = {"input": given, "model": "m", "encoding_format": "base64", "dimensions": 256.0,
            "user": "bob", "input_type": "query"}
    assert sent("embeddings", body) == {
        "model": "m", "input": given, "dimensions": 256, "encoding_format": "base64"}
    assert dropped("embeddings", body) == ("input_type", "user")
