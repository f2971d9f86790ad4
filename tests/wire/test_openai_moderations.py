"""POST /v1/moderations: the verdict of every field."""

from __future__ import annotations

from openai.types.moderation_create_params import ModerationCreateParams

from tests.wire.asking import annotations, ask, known, sent


def test_every_documented_field_has_a_verdict() -> None:
    assert annotations(ModerationCreateParams) <= known("moderations")


def test_the_default_model_is_named() -> None:
    assert ask("moderations", {"input": "x"}).model == "omni-moderation-latest"
    assert list(sent("moderations", {"input": "x"})) == ["model", "input"]
    assert sent("moderations", {"input": "x", "model": "m"})["model"] == "m"


def test_parts_are_ordered() -> None:
    part = {"image_url": {"url": "data:"}, "type": "image_url"}
    found = sent("moderations", {"input": [part], "model": "m"})["input"][0]
    assert list(found) == ["type", "image_url"] and found == part
