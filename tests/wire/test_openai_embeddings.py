"""POST /v1/embeddings: the verdict of every field."""

from __future__ import annotations

import json
from collections.abc import Callable

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


@pytest.mark.parametrize("wrap", [
    lambda part: part, lambda part: [part], lambda part: ["a", part],
    lambda part: [{"content": [part]}]], ids=["alone", "listed", "mixed", "within"])
def test_objects_have_one_order(wrap: Callable[[object], object]) -> None:
    url = {"url": "data:image/png;base64,AA"}
    texts = [json.dumps(sent("embeddings", {"model": "m", "input": wrap(part)})) for part in (
        {"type": "image_url", "image_url": url}, {"image_url": url, "type": "image_url"})]
    assert texts[0] == texts[1] and json.loads(texts[0])["input"] == wrap(
        {"type": "image_url", "image_url": url})
