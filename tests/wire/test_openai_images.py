"""POST /v1/images/generations: the verdict of every field."""

from __future__ import annotations

import json

import pytest
from openai.types.image_generate_params import (
    ImageGenerateParamsNonStreaming, ImageGenerateParamsStreaming,
)

from relayd.wire.body import write
from relayd.wire.identity import Pseudonyms
from tests.wire.asking import KEY, annotations, ask, dropped, known, sent


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


@pytest.mark.parametrize(("asked", "model", "wish", "wanted"), [
    ("picture", "grok-imagine-image", None, "b64_json"), ("picture", "dall-e-3", None, "b64_json"),
    ("picture", "gpt-image-2", "b64_json", None), ("dall-e-3", "gpt-image-2", "url", None),
    ("gpt-image-2", "dall-e-3", None, "b64_json"), ("dall-e-3", "east-1", None, "b64_json"),
    ("gpt-image-2", "east-1", "b64_json", None), ("picture", "east-1", None, None),
    ("picture", "east-1", "url", "b64_json"), ("picture", "xai/grok-imagine", None, "b64_json"),
    ("openai/gpt-image-2", "east-1", "url", None),
])
def test_the_model_that_is_sent_decides_how_the_image_is_asked_for(
    asked: str, model: str, wish: str | None, wanted: str | None
) -> None:
    """A route may have another name than its deployments, and these names of their own."""
    read = ask("image_generation", {
        "model": asked, "prompt": "a cat", "response_format": wish, "stream": True})
    names = Pseudonyms(KEY, "acct_1", "absent", "hashed")
    for sent_model in ("flux-2", model):  # another one was tried before
        found = json.loads(write(read, sent_model, names))
    assert found.get("response_format") == wanted
    assert list(found) == ["model", "prompt", *(["response_format"] if wanted else []), "stream"]


def test_streams() -> None:
    body = {"model": "gpt-image-2", "prompt": "x", "stream": True, "partial_images": 2}
    assert ask("image_generation", body).stream
    assert sent("image_generation", body)["stream"] is True
