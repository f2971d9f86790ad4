"""The official OpenAI SDK, unmodified: vectors, verdicts, pictures and sound."""

from __future__ import annotations

import base64
import io
import wave
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from relayd.demo.media import png, wav
from tests.e2e.conftest import Target

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def client(target: Target) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=target.openai, api_key=target.key, max_retries=0) as found:
        yield found


def test_embeddings(client: openai.OpenAI) -> None:
    model = "text-embedding-3-small"
    packed = client.embeddings.create(model=model, input=["one runner", "two runners"])
    plain = client.embeddings.create(
        model=model, input=["one runner", "two runners"], encoding_format="float")
    assert [len(each.embedding) for each in packed.data] == [1536, 1536]
    assert packed.data[1].embedding == pytest.approx(plain.data[1].embedding)
    assert packed.usage.prompt_tokens == 4  # runners is one token, and so are the others
    short = client.embeddings.create(model=model, input=[15339, 1917], dimensions=8)
    assert len(short.data[0].embedding) == 8


def test_moderations(client: openai.OpenAI) -> None:
    verdicts = client.moderations.create(
        model="omni-moderation-latest", input=["a calm sentence", "a word on violence"])
    assert [each.flagged for each in verdicts.results] == [False, True]
    assert verdicts.results[1].categories.violence


def test_images(client: openai.OpenAI) -> None:
    reply = client.images.generate(model="gpt-image-2", prompt="A relay race", n=2)
    assert [base64.b64decode(each.b64_json)[:8] for each in reply.data] == [PNG, PNG]
    assert reply.usage.total_tokens > 0


def test_image_stream(client: openai.OpenAI) -> None:
    events = list(client.images.generate(
        model="gpt-image-2", prompt="A relay race", stream=True, partial_images=2))
    assert [event.type for event in events] == [
        "image_generation.partial_image", "image_generation.partial_image",
        "image_generation.completed"]
    assert base64.b64decode(events[-1].b64_json).startswith(PNG)


def test_image_edit(client: openai.OpenAI) -> None:
    reply = client.images.edit(
        model="gpt-image-2", prompt="Make it blue", image=("race.png", png(16, 16), "image/png"))
    assert base64.b64decode(reply.data[0].b64_json).startswith(PNG)


def test_speech(client: openai.OpenAI, tmp_path: Path) -> None:
    with client.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", voice="alloy", input="A relay says hello",
    ) as reply:
        reply.stream_to_file(tmp_path / "speech.mp3")
    assert (tmp_path / "speech.mp3").read_bytes().startswith(b"\xff\xfb")
    sound = client.audio.speech.create(
        model="tts-1", voice="alloy", input="A relay says hello", response_format="wav")
    with wave.open(io.BytesIO(sound.content)) as file:
        assert file.getnframes() > 0 and file.getframerate() == 24_000


def test_transcriptions(client: openai.OpenAI) -> None:
    file = ("speech.wav", wav(0.1), "audio/wav")
    whole = client.audio.transcriptions.create(model="gpt-4o-transcribe", file=file)
    assert "relay" in whole.text
    events = list(client.audio.transcriptions.create(
        model="gpt-4o-transcribe", file=file, stream=True))
    assert events[-1].type == "transcript.text.done" and events[-1].text == whole.text
    text = client.audio.transcriptions.create(
        model="whisper-1", file=file, response_format="text")
    assert text.strip() == whole.text


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
def test_translations(client: openai.OpenAI) -> None:
    reply = client.audio.translations.create(
        model="whisper-1", file=("speech.wav", wav(0.1), "audio/wav"))
    assert "relay" in reply.text


def test_upload_error(client: openai.OpenAI) -> None:
    with pytest.raises(openai.RateLimitError):
        client.audio.transcriptions.create(
            model="demo-429", file=("speech.wav", wav(0.1), "audio/wav"))


def test_endpoints_that_keep_content(relay: Target) -> None:
    with openai.OpenAI(base_url=relay.openai, api_key=relay.key, max_retries=0) as client:
        with pytest.raises(openai.InternalServerError) as raised:
            client.files.create(file=("notes.jsonl", b"{}"), purpose="batch")
    assert raised.value.status_code == 501
