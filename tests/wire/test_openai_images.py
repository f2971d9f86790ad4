"""POST /v1/images/generations: the verdict of every field."""

from __future__ import annotations

import pytest
from openai.types.image_generate_params import (
    ImageGenerateParamsNonStreaming, ImageGenerateParamsStreaming,
)

from tests.wire.asking import annotations, ask, dropped, known, sent


def test_every_documented_field_has_a_verdict() -> None:
    params = annotations(ImageGenerateParamsNonStreaming, ImageGenerateParamsStreaming)
    assert params <= known("image_generation")


@pytest.mark.parametrize(("model", "asked", "wanted", "reported"), [
    ("dall-e-3", "url", "b64_json", True),
    ("dall-e-3", None, "b64_json", False),
    ("dall-e-3", "b64_json", "b64_json", False),
    ("gpt-image-2", "url", None, True),
    ("gpt-image-2", "b64_json", None, False),
    ("grok-imagine-image", "url", "b64_json", True),
    ("grok-imagine-image", None, "b64_json", False),
    ("flux-2", "url", "b64_json", True),
    ("flux-2", None, None, False),
])
def test_the_image_itself_is_asked_for(
    model: str, asked: str | None, wanted: str | None, reported: bool
) -> None:
    body = {"model": model, "prompt": "a cat", "response_format": asked}
    assert sent("image_generation", body).get("response_format") == wanted
    assert dropped("image_generation", body) == (("response_format",) if reported else ())


def test_streams() -> None:
    body = {"model": "gpt-image-2", "prompt": "x", "stream": True, "partial_images": 2}
    assert ask("image_generation", body).stream
    assert sent("image_generation", body)["stream"] is True
