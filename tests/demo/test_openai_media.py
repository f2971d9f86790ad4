"""Tests of pictures, speech and transcripts."""

from __future__ import annotations

import base64
import struct
from typing import Any

import orjson
import pytest

from relayd.demo import openai_media
from relayd.demo.reply import Plain, Streamed


def _json(reply: Any) -> dict[str, Any]:
    assert isinstance(reply, Plain)
    return orjson.loads(reply.body)


def _types(reply: Any) -> list[str]:
    assert isinstance(reply, Streamed)
    return [orjson.loads(event.split(b"data: ")[1])["type"]
            for event in reply.events + reply.end]


def test_the_size_is_the_wanted_one() -> None:
    reply = _json(openai_media.images({"prompt": "x", "size": "32x16", "n": 2}))
    pictures = [base64.b64decode(each["b64_json"]) for each in reply["data"]]
    assert len(pictures) == 2 and struct.unpack(">II", pictures[0][16:24]) == (32, 16)


@pytest.mark.parametrize(("extra", "key"), [
    ({"model": "gpt-image-2"}, "b64_json"), ({"model": "dall-e-3"}, "url"),
    ({"model": "dall-e-3", "response_format": "b64_json"}, "b64_json"),
    ({"model": "gpt-image-2", "response_format": "url"}, "url")])
def test_an_address_holds_the_picture_itself(extra: dict[str, str], key: str) -> None:
    [one] = _json(openai_media.images({"prompt": "x", **extra}))["data"]
    assert list(one) == [key]
    assert key == "b64_json" or one["url"].startswith("data:image/png;base64,")


def test_edits_come_as_forms() -> None:
    form = {"prompt": "x", "n": "2", "image_bytes": 100}
    assert len(_json(openai_media.images(form))["data"]) == 2
    stream = openai_media.images({**form, "stream": "true", "partial_images": "1"})
    assert _types(stream) == ["image_edit.partial_image", "image_edit.completed"]


@pytest.mark.parametrize(("wanted", "kind", "start"), [
    ("mp3", "audio/mpeg", b"\xff\xfb"), ("wav", "audio/wav", b"RIFF"),
    ("opus", "audio/wav", b"RIFF"), ("pcm", "audio/pcm", b"\0\0")])
def test_speech(wanted: str, kind: str, start: bytes) -> None:
    reply = openai_media.speech({"input": "hello " * 30, "response_format": wanted})
    assert isinstance(reply, Streamed) and reply.content_type == kind
    assert b"".join(reply.events + reply.end).startswith(start)


def test_speech_as_events() -> None:
    kinds = _types(openai_media.speech({"input": "hello", "stream_format": "sse"}))
    assert set(kinds[:-1]) == {"speech.audio.delta"} and kinds[-1] == "speech.audio.done"


@pytest.mark.parametrize(("wanted", "start"), [
    ("text", b"The relay"), ("srt", b"1\n00:00"), ("vtt", b"WEBVTT\n")])
def test_transcripts_as_text(wanted: str, start: bytes) -> None:
    reply = openai_media.transcriptions({"response_format": wanted})
    assert isinstance(reply, Plain) and reply.body.startswith(start)
    assert openai_media.HEARD.encode() in reply.body


def test_transcripts_as_json() -> None:
    assert _json(openai_media.transcriptions({}))["usage"]["type"] == "tokens"
    verbose = _json(openai_media.translations({"response_format": "verbose_json"}))
    assert verbose["segments"][0]["text"] == verbose["text"]
    kinds = _types(openai_media.transcriptions({"stream": "true"}))
    assert set(kinds[:-1]) == {"transcript.text.delta"} and kinds[-1] == "transcript.text.done"
