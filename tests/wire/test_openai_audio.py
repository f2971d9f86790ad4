"""POST /v1/audio/speech: the verdict of every field."""

from __future__ import annotations

import pytest
from openai.types.audio.speech_create_params import SpeechCreateParams

from tests.wire.asking import annotations, ask, known, sent


def test_every_documented_field_has_a_verdict() -> None:
    assert annotations(SpeechCreateParams) <= known("speech")


@pytest.mark.parametrize(("form", "stream"), [("sse", True), ("audio", False), (None, False)])
def test_the_stream_format_says_whether_it_streams(form: str | None, stream: bool) -> None:
    body = {"model": "tts", "input": "x", "voice": {"id": "v"}, "speed": 1.0,
            "stream_format": form}
    assert ask("speech", body).stream is stream
    assert sent("speech", body)["speed"] == 1
