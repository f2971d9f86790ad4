"""Embeddings, ranking, images, speech, transcription: usage, end, error, figures and words."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import pytest

from relayd.wire.reply_media import (
    read_images, read_media, read_ranking, read_speech, read_words,
)
from relayd.wire.replytext import CONTENT, Findings
from tests.fakes.texts import Texts

Read = Callable[[bytes, Findings], bool]
EVERY = [read_images, read_media, read_ranking, read_speech, read_words]
USAGE = {"input_tokens": 7, "output_tokens": 3}
every_reader = pytest.mark.parametrize("reader", EVERY, ids=lambda reader: reader.__name__)


def read(reader: Read, *values: object, whole: bool = False) -> tuple[Texts, Findings]:
    texts = Texts()
    found, blind = Findings(texts, whole=whole), Findings(whole=whole)
    for value in values:
        for each in (found, blind):
            assert reader(json.dumps(value).encode(), each) is False
    assert (blind.usage, blind.ended, blind.error, blind.images, blind.seconds) == (
        found.usage, found.ended, found.error, found.images, found.seconds)
    return texts, found


def test_a_streamed_transcription() -> None:
    texts, found = read(read_words, {"type": "transcript.text.delta", "delta": "Ru"},
                        {"type": "transcript.text.delta", "delta": "by"},
                        {"type": "transcript.text.done", "text": "Ruby", "usage": USAGE})
    assert texts.kind(CONTENT) == "Ruby" and found.ended and found.usage == USAGE
    assert not found.unreported


def test_mistral_streams_it_in_other_words() -> None:
    texts, found = read(read_words, {"type": "transcription.text.delta", "text": "Ruby"},
                        {"type": "transcription.done", "text": "Ruby", "usage": USAGE})
    assert texts.kind(CONTENT) == "Ruby" and found.ended and found.usage == USAGE


def test_the_sound_of_speech_is_as_long_as_what_passed() -> None:
    half = base64.b64encode(bytes(36_000)).decode()
    events = [{"type": "speech.audio.delta", "audio": audio} for audio in (half, half, 7, "A")]
    texts, found = read(read_speech, *events)
    assert found.sound is not None and found.sound.seconds() == 2 and not texts.streams
    assert read(read_speech, {"type": "speech.audio.done", "usage": USAGE})[1].sound is None


def test_vllm_streams_it_as_a_chat() -> None:
    chunks = [{"object": "transcription.chunk", "choices": choices} for choices in (
        [{"delta": {"content": "Ru"}}], [{"delta": {"content": "by"}}], [], [7], [{"delta": {}}])]
    texts, found = read(read_words, *chunks)
    assert texts.kind(CONTENT) == "Ruby" and found.paced == 4 and not found.open_ended


@pytest.mark.parametrize(("segments", "seconds"), [
    ([b'{"text":"Ru"}', b'{"text":"by"}'], 0),
    ([b'{"text":"Ru","duration":8.5}', b'{"text":"by","duration":8.5}'], 9),
    ([b"Ru", b"by"], 0),
])
def test_segments_without_a_type_have_no_last_event(segments: list[bytes], seconds: int) -> None:
    texts = Texts()
    found, blind = Findings(texts), Findings()
    for segment in segments:
        for each in (found, blind):
            assert read_words(segment, each) is False
    assert texts.kind(CONTENT) == "Ruby"
    for each in (found, blind):
        assert each.open_ended and not each.ended
        assert (each.paced, each.seconds) == (4, seconds)


def test_what_is_heard_where_nobody_speaks_is_a_segment_too() -> None:
    found = Findings()
    assert read_words(b"[Music]", found) is False
    assert found.open_ended and found.paced == 7


@pytest.mark.parametrize("event", [
    b'{"type":"transcript.text.delta","delta":"a"}', b'{"text":"a', b'{"error":{}}', b"[DONE]",
    b" [DONE]", b""])
def test_other_events_do_not_leave_the_end_open(event: bytes) -> None:
    found = Findings(Texts())
    read_words(event, found)
    assert not found.open_ended


def test_a_transcription() -> None:
    reply = {"text": "Ruby", "segments": [{"text": "Ruby"}], "usage": USAGE, "duration": 3.7}
    texts, found = read(read_words, reply, whole=True)
    assert texts.kind(CONTENT) == "Ruby" and found.usage == USAGE and found.seconds == 4


@pytest.mark.parametrize(("duration", "seconds"), [
    ("8.47", 9), (2, 2), (None, 0), ("long", 0), (-3, 0), ([3], 0)])
def test_durations(duration: object, seconds: int) -> None:
    assert read(read_words, {"text": "a", "duration": duration}, whole=True)[1].seconds == seconds


@every_reader
@pytest.mark.parametrize("name", [
    "speech.audio.done", "image_generation.completed", "image_edit.completed"])
def test_last_events(reader: Read, name: str) -> None:
    texts, found = read(reader, {"type": name, "b64_json": "AAAA", "usage": USAGE})
    assert found.ended and found.usage == USAGE and not texts.streams
    assert found.images == (1 if reader is read_images and name[:5] == "image" else 0)


def test_images_are_counted() -> None:
    reply = {"created": 1, "data": [{"b64_json": "AAAA"}, {"url": "https://x.test/"}]}
    assert read(read_images, reply, whole=True)[1].images == 2
    assert read(read_images, {"type": "image_generation.partial_image"})[1].images == 0
    assert read(read_images, {"data": [None], "usage": USAGE}, whole=True)[1].usage == USAGE
    assert read(read_images, {"data": None}, whole=True)[1].images == 0


def test_rankings() -> None:
    meta = {"billed_units": {"search_units": 1}, "tokens": USAGE}
    assert read(read_ranking, {"results": [], "meta": meta}, whole=True)[1].usage == USAGE
    assert read(read_ranking, {"meta": {"tokens": None}, "usage": USAGE})[1].usage == USAGE
    assert read(read_ranking, {"meta": 7, "usage": USAGE})[1].usage == USAGE


@pytest.mark.parametrize(("units", "searches"), [
    ({"search_units": 3}, 3), ({"search_units": 3.0}, 3), ({"search_units": -1}, 0),
    ({"search_units": None}, 0), ({"input_tokens": 9}, 0), (7, 0), (None, 0)])
def test_searches_that_a_ranking_is_charged_by(units: object, searches: int) -> None:
    found = read(read_ranking, {"results": [], "meta": {"billed_units": units}}, whole=True)[1]
    assert found.searches == searches and found.usage is None


@pytest.mark.parametrize("event", [
    {"type": "speech.audio.delta", "audio": "AAAA"},
    {"type": "image_generation.partial_image", "b64_json": "AAAA", "partial_image_index": 0},
    {"data": [{"embedding": [0.1]}], "model": "x"},
    {"results": [{"categories": {}}]},
])
def test_nothing_to_read(event: object) -> None:
    texts, found = read(read_media, event)
    assert not texts.streams and (found.usage, found.ended, found.error) == (None, False, None)


@every_reader
@pytest.mark.parametrize("event", [
    {"type": "error", "error": {"code": "x"}}, {"error": {"message": "x"}}])
def test_errors_under_200(reader: Read, event: object) -> None:
    assert read(reader, event)[1].error == "provider_stream_error"
    assert read(reader, event, whole=True)[1].error == "provider_failed"


@every_reader
@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"[" * 100_000])
def test_what_cannot_be_read(reader: Read, data: bytes) -> None:
    found = Findings(Texts())
    assert reader(data, found) is False
    assert (found.usage, found.ended, found.error, found.images) == (None, False, None, 0)


@every_reader
@pytest.mark.parametrize(("event", "fails"), [
    ({"type": "error"}, True), ({"error": {"message": "x"}}, True),
    ({"type": "speech.audio.delta", "error": None}, False), ({}, False),
])
def test_either_word_for_an_error_is_enough(
    reader: Read, event: dict[str, object], fails: bool
) -> None:
    assert (read(reader, event)[1].error is not None) is fails


def test_words_are_those_of_their_own_events() -> None:
    texts, _ = read(read_words, {"type": "transcript.text.segment", "text": "again"},
                    {"type": "transcript.text.delta", "delta": "once"})
    assert texts.kind(CONTENT) == "once"
