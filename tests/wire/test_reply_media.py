"""Embeddings, images, speech, transcription: usage, end, error and the transcribed words."""

from __future__ import annotations

import json

import pytest

from relayd.wire.reply_media import read_media
from relayd.wire.replytext import CONTENT, Findings
from tests.fakes.texts import Texts


def read(*values: object, whole: bool = False) -> tuple[Texts, Findings]:
    texts = Texts()
    found, blind = Findings(texts, whole=whole), Findings(whole=whole)
    for value in values:
        for each in (found, blind):
            assert read_media(json.dumps(value).encode(), each) is False
    assert (blind.usage, blind.ended, blind.error) == (found.usage, found.ended, found.error)
    return texts, found


USAGE = {"input_tokens": 7, "output_tokens": 3}


def test_a_streamed_transcription() -> None:
    texts, found = read({"type": "transcript.text.delta", "delta": "Ru"},
                        {"type": "transcript.text.delta", "delta": "by"},
                        {"type": "transcript.text.done", "text": "Ruby", "usage": USAGE})
    assert texts.kind(CONTENT) == "Ruby" and found.ended and found.usage == USAGE


def test_mistral_streams_it_in_other_words() -> None:
    texts, found = read({"type": "transcription.text.delta", "text": "Ruby"},
                        {"type": "transcription.done", "text": "Ruby", "usage": USAGE})
    assert texts.kind(CONTENT) == "Ruby" and found.ended and found.usage == USAGE


def test_a_transcription() -> None:
    reply = {"text": "Ruby", "segments": [{"text": "Ruby"}], "usage": USAGE}
    texts, found = read(reply, whole=True)
    assert texts.kind(CONTENT) == "Ruby" and found.usage == USAGE


@pytest.mark.parametrize("name", [
    "speech.audio.done", "image_generation.completed", "image_edit.completed"])
def test_last_events(name: str) -> None:
    texts, found = read({"type": name, "b64_json": "AAAA", "usage": USAGE})
    assert found.ended and found.usage == USAGE and not texts.streams


@pytest.mark.parametrize("event", [
    {"type": "speech.audio.delta", "audio": "AAAA"},
    {"type": "image_generation.partial_image", "b64_json": "AAAA", "partial_image_index": 0},
    {"data": [{"embedding": [0.1]}], "model": "x"},
    {"results": [{"categories": {}}]},
])
def test_nothing_to_read(event: object) -> None:
    texts, found = read(event)
    assert not texts.streams and (found.usage, found.ended, found.error) == (None, False, None)


@pytest.mark.parametrize("event", [
    {"type": "error", "error": {"code": "x"}}, {"error": {"message": "x"}}])
def test_errors_under_200(event: object) -> None:
    assert read(event)[1].error == "provider_stream_error"
    assert read(event, whole=True)[1].error == "provider_failed"
