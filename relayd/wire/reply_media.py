"""OpenAI's other endpoints: embeddings, moderations, ranking, images, speech, transcription.

Images and sound are no text; of these replies only usage, end and error are read, the transcribed
words, how long the sound was, and how many images there are.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec

from relayd.wire.replytext import CONTENT, Findings, decode_again
from relayd.wire.usage import count_of, openai_usage, seconds_of

# tuples: a type that is no string is in none of them, and cannot be looked up in a set
_WORDS: Final = ("transcript.text.delta", "transcription.text.delta")
RANKED_MAX, RANKED_TOKENS = 100, 500
"""Of pieces in one of Cohere's searches, and of tokens in a piece (docs.cohere.com, "Pricing")."""
BYTES_PER_SECOND: Final = 15
"""Of UTF-8, in speech: 150 English words a minute, or 300 Chinese characters."""
_IMAGE: Final = ("image_generation.completed", "image_edit.completed")
_PARTIAL: Final = ("image_generation.partial_image", "image_edit.partial_image")
_LAST: Final = (*_IMAGE, "transcript.text.done", "transcription.done", "speech.audio.done")


class _Lean(msgspec.Struct, gc=False):
    type: Any = None
    usage: Any = None
    error: Any = None


class _Words(_Lean, gc=False):
    duration: Any = None
    delta: Any = None
    text: Any = None
    choices: Any = None


class _Spoken(_Lean, gc=False):
    audio: Any = None


class _Meta(msgspec.Struct, gc=False):
    tokens: Any = None
    billed_units: Any = None


class _Ranking(_Lean, gc=False):
    meta: _Meta | None = None


class _Image(msgspec.Struct, gc=False):
    """Nothing of an image is looked at."""


class _Images(_Lean, gc=False):
    data: list[_Image] | None = None
    svg_usage: Any = None


_LEAN: Final = msgspec.json.Decoder(_Lean)
_TRANSCRIBED: Final = msgspec.json.Decoder(_Words)
_SPOKEN: Final = msgspec.json.Decoder(_Spoken)
_RANKING: Final = msgspec.json.Decoder(_Ranking)
_IMAGES: Final = msgspec.json.Decoder(_Images)


def read_media(data: bytes, found: Findings) -> bool:
    """Reads a reply or an event of embeddings or moderations.

    No event of these endpoints is there for its usage alone: all readers here return False.
    """
    event = _decoded(data, found, _LEAN)
    if event is not None:
        _summary(event, found)
    return False


def read_speech(data: bytes, found: Findings) -> bool:
    """Reads an event of speech: its sound, too, for its usage comes with the last one."""
    event = _decoded(data, found, _SPOKEN)
    if event is None:
        return False
    if type(event) is _Spoken and event.type == "speech.audio.delta":
        found.hear(event.audio)
    _summary(event, found)
    return False


def read_words(data: bytes, found: Findings) -> bool:
    """Reads a transcription or an event of one."""
    event = _decoded(data, found, _TRANSCRIBED)
    if event is None:
        # a segment's words alone (speaches), or what is heard of music: [Music]
        if not found.whole and data[:1] not in (b"", b"{") and data.strip() != b"[DONE]":
            found.open_ended = True
            _heard(data.decode("utf-8", "replace"), found)
        return False
    if type(event) is _Words:
        if found.whole or event.type is None and type(event.text) is str:
            # all of it; in a stream a segment, after which nothing says that it was the last
            found.open_ended = True
            found.seconds = max(found.seconds, seconds_of(event.duration) or 0)
            _heard(event.text, found)
        elif event.type in _WORDS:  # the last event repeats all of them
            _heard(event.text if event.delta is None else event.delta, found)
        elif event.choices:
            _heard(_of_choice(event.choices), found)
    _summary(event, found)
    return False


def _heard(words: object, found: Findings) -> None:
    found.text(words, CONTENT)
    if type(words) is str:
        found.paced += len(words.encode())


def _of_choice(choices: object) -> object:
    """The words of a chunk of a chat, as vLLM streams them."""
    try:
        return choices[0]["delta"]["content"]  # type: ignore[index]
    except (LookupError, TypeError):
        return None


def read_ranking(data: bytes, found: Findings) -> bool:
    """Reads a ranking; Cohere's form, which others have too, reports in `meta`.

    Cohere charges by the search, each of which ranks a hundred pieces of up to 500 tokens.
    """
    event = _decoded(data, found, _RANKING)
    if event is None:
        return False
    if type(event) is _Ranking and event.meta is not None:
        found.report(event.meta.tokens)
        units = event.meta.billed_units
        found.searches = (count_of(units.get("search_units")) or 0) if type(units) is dict else 0
    _summary(event, found)
    return False


def read_images(data: bytes, found: Findings) -> bool:
    """Reads a reply of images, or an event: how many there are, whoever made them."""
    event = _decoded(data, found, _IMAGES)
    if event is None:
        return False
    if type(event) is _Images and event.data is not None:
        found.images += len(event.data)
        drawn = event.svg_usage
        if isinstance(drawn, dict):  # its parts stand beside its figures
            found.drawn = openai_usage({**drawn, "output_tokens_details": drawn})
    elif event.type in _IMAGE:
        found.images += 1
    elif event.type in _PARTIAL:
        found.drawing = True
    _summary(event, found)
    return False


Wanted = TypeVar("Wanted", bound=_Lean)


def _decoded(
    data: bytes, found: Findings, wanted: msgspec.json.Decoder[Wanted]
) -> Wanted | _Lean | None:
    try:
        return wanted.decode(data)
    except (ValueError, RecursionError):
        return decode_again(data, found, wanted, _LEAN)


def _summary(event: _Lean, found: Findings) -> None:
    if event.type in _LAST:
        found.ended = True
    if event.type == "error" or event.error:
        found.fail()
    found.report(event.usage)
