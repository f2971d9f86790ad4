"""Which reader and which scale of usage belong to an operation: one table.

Law: a dialect is a row. What no row names (counting endpoints, whose answers bill nothing) is not
read at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from relayd.core.usage import NO_USAGE, Beside, Usage
from relayd.wire.demand import IMAGE_TOKENS
from relayd.wire.reply_chat import read_chat
from relayd.wire.reply_gemini import read_gemini
from relayd.wire.reply_media import (
    BYTES_PER_SECOND,
    read_images,
    read_media,
    read_ranking,
    read_speech,
    read_words,
)
from relayd.wire.reply_messages import read_messages
from relayd.wire.reply_responses import DELTAS, read_responses
from relayd.wire.replytext import Findings, Read
from relayd.wire.sound import TOKENS_PER_SECOND
from relayd.wire.sse import PLAIN_EVENTS, plain_events
from relayd.wire.usage import (
    Normalize,
    anthropic_usage,
    gemini_usage,
    image_usage,
    openai_input_usage,
    openai_usage,
)
from relayd.wire.usage_typed import AnthropicReport, OpenaiReport, gemini_report


@dataclass(frozen=True, slots=True)
class ReplyShape:
    """How the replies of one operation are read.

    `large` marks streams whose events carry images or sound and are long for that; `long` those
    whose last event, which has the usage, may be: it carries images beside text, or all of the
    reply again. `words` marks replies that may come as plain text, `sound` those that are no text
    unless they say so. Events that `dull` matches hold text alone: where none is counted they need
    not be read. `telling` finds the data of all others, where all are plain.
    """

    read: Read
    normalize: Normalize
    large: bool = False
    long: bool = False
    words: bool = False
    sound: bool = False
    dull: re.Pattern[bytes] | None = None
    telling: re.Pattern[bytes] = PLAIN_EVENTS

    def usage(self, found: Findings) -> Usage | None:
        """The usage that the provider reported, None where it gave none that can be taken and
        nothing is beside it."""
        given = found.usage
        if type(given) is OpenaiReport or type(given) is AnthropicReport:
            usage = given.usage()
        elif type(given) is bytes and (typed := gemini_report(given)) is not None:
            usage = typed.usage()
        else:
            report = found.usage_object()
            usage = None if report is None else self.normalize(report)
        if not found.images and not found.seconds and not found.searches:
            if usage is None and found.drawing:
                return Beside(output_tokens=IMAGE_TOKENS, image_output_tokens=IMAGE_TOKENS)
            if usage is None and found.sound is not None:
                return self._heard(found.sound.seconds())
            if usage is None and found.paced:
                return Beside(audio_seconds=-(-found.paced // BYTES_PER_SECOND))
            return usage
        if usage is None:
            # seconds are the provider's own figure; the others are merely seen to be there
            usage = NO_USAGE if found.seconds or found.drawn is not None else Beside()
        if found.drawn is not None:
            usage = usage.plus(found.drawn)
        return msgspec.structs.replace(
            usage, images=found.images, audio_seconds=usage.audio_seconds or found.seconds,
            searches=usage.searches or found.searches)

    def _heard(self, seconds: int) -> Usage:
        """Sound that nothing is reported of: a chat's is paid by tokens."""
        if self.sound:
            return Beside(audio_seconds=seconds)
        tokens = seconds * TOKENS_PER_SECOND
        return Beside(output_tokens=tokens, audio_output_tokens=tokens)


def _dull(names: Iterable[str]) -> re.Pattern[bytes]:
    """Matches whole events of these names, in the form that their APIs write them in."""
    return re.compile(rb"(?:event: (?:%b)\ndata: [^\n]*\n\n)+" % b"|".join(
        re.escape(name).encode() for name in names))


DULL: Final = {"responses": tuple(DELTAS), "messages": ("content_block_delta",)}
"""Events that hold text alone, by operation."""

SHAPES: Final = {
    "chat": ReplyShape(read_chat, openai_usage),
    "completions": ReplyShape(read_chat, openai_usage),
    "responses": ReplyShape(
        read_responses, openai_usage, long=True, dull=_dull(DULL["responses"]),
        telling=plain_events(DULL["responses"])),
    "embeddings": ReplyShape(read_media, openai_input_usage),
    "moderations": ReplyShape(read_media, openai_input_usage),
    "rerank": ReplyShape(read_ranking, openai_input_usage),
    "image_generation": ReplyShape(read_images, image_usage, large=True),
    "image_edit": ReplyShape(read_images, image_usage, large=True),
    "speech": ReplyShape(read_speech, openai_usage, large=True, sound=True),
    "transcription": ReplyShape(read_words, openai_usage, words=True),
    "translation": ReplyShape(read_words, openai_usage, words=True),
    "messages": ReplyShape(
        read_messages, anthropic_usage, dull=_dull(DULL["messages"]),
        telling=plain_events(DULL["messages"])),
    "generate": ReplyShape(read_gemini, gemini_usage),
    "stream_generate": ReplyShape(read_gemini, gemini_usage, long=True),
    "embed": ReplyShape(read_gemini, gemini_usage),
    "batch_embed": ReplyShape(read_gemini, gemini_usage),
}
"""By operation (wire/dialect.py)."""
