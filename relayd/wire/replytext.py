"""What is read from a reply while it passes: text for counting, usage, its end, its error.

Law: each JSON text is decoded once, into a typed structure that holds the wanted fields alone.
What cannot be decoded is not read and never fails the reply. Text goes to the sink and is kept
nowhere.
"""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Callable, Mapping
from typing import Final, Protocol, TypeVar

import msgspec

from relayd.core.usage import Usage
from relayd.wire.sound import Sound
from relayd.wire.mended import MENDED_BYTES_MAX, mended
from relayd.wire.usage import openai_input_usage
from relayd.wire.usage_typed import AnthropicReport, OpenaiReport

CONTENT: Final = 0
"""Kind of text: what the model says, refusals included."""
REASONING: Final = 1
"""Kind of text: reasoning, or its summary, where the provider shows it."""
ARGUMENTS: Final = 2
"""Kind of text: arguments of tool calls, code for the provider's own tools."""
NAME: Final = 3
"""Kind of text: names of called tools."""
KINDS: Final = 4

_REPORTS: Final = (OpenaiReport, AnthropicReport, dict)

_TOOLS: Final = 1024
"""Tool calls of different choices are told apart by this stride."""


class TextSink(Protocol):
    """Takes a reply's text, piece by piece."""

    def add(self, text: str, stream: int = 0) -> None:
        """The next piece of one of the reply's texts; `stream` tells them apart (`stream_of`)."""


def stream_of(kind: int, index: object = 0, tool: object = 0) -> int:
    """The number of a text: its kind, the choice it belongs to, and the tool call within that.

    Indices come from the provider: one that is no integer counts as 0.
    """
    place = index * _TOOLS if type(index) is int else 0
    if type(tool) is int:
        place += tool
    return kind + KINDS * place


class Findings(msgspec.Struct, gc=False):
    """What has been read of one reply so far. Holds figures and flags, no text."""

    sink: TextSink | None = None
    """Where text goes. Without it no text is looked for."""
    whole: bool = False
    """The JSON texts are whole replies, not parts of a stream."""
    usage: Mapping[str, object] | OpenaiReport | AnthropicReport | bytes | None = None
    """The provider's last usage object; bytes are JSON not parsed yet."""
    ended: bool = False
    """The dialect's last event has passed."""
    error: str | None = None
    """A code of core.errors, where the provider reported a failure in a reply under 200."""
    unreported: bool = False
    """Text has passed since usage was last reported. Stays False without a sink."""
    images: int = 0
    """Images that the reply has, where it is one of images or a tool made them."""
    drawing: bool = False
    """An image has passed as it was until then."""
    searches: int = 0
    """Searches of the web that the reply shows, where its usage does not tell of them."""
    seconds: int = 0
    """How long the transcribed sound was, where the reply says so beside its usage."""
    paced: int = 0
    """How many bytes of words were heard: where nothing says how long the sound was."""
    sound: Sound | None = None
    """The sound that passed in events, for where its stream ends before its usage is told."""
    open_ended: bool = False
    """Its events are of no type, and none of them says that it is the last."""
    drawn: Usage | None = None
    """What another model used to write the vector graphics of a reply of images."""

    def __repr__(self) -> str:
        return "Findings(...)"

    def text(self, text: object, kind: int, index: object = 0, tool: object = 0) -> None:
        """Hands a piece of text to the sink (see `stream_of`); anything but a string is none."""
        sink = self.sink
        if type(text) is str and text and sink is not None:
            self.unreported = True
            sink.add(text, stream_of(kind, index, tool) if index or tool else kind)

    def hear(self, base64: object) -> None:
        """Takes the next piece of the reply's sound; what cannot be read is as long as nothing."""
        sound = self.sound = self.sound or Sound()
        try:
            sound.feed(a2b_base64(base64))  # type: ignore[arg-type]
        except (ValueError, TypeError):
            pass

    def report(self, usage: object) -> None:
        """Notes the provider's usage object; the last one counts. Anything else is no report,
        and what has no figures that can be taken does not stand for one that had."""
        if isinstance(usage, _REPORTS) and (self.usage is None or _tells(usage)):
            self.usage = usage
            self.unreported = False

    def usage_object(self) -> Mapping[str, object] | None:
        """The last usage object, parsed; None where there was none."""
        usage = self.usage
        if isinstance(usage, (OpenaiReport, AnthropicReport)):
            found: dict[str, object] = msgspec.to_builtins(usage)
            return found
        if not isinstance(usage, bytes):
            return usage
        try:
            parsed = msgspec.json.decode(usage)
        except (ValueError, RecursionError):
            return None
        return parsed if isinstance(parsed, dict) else None

    def fail(self) -> None:
        """Notes that the provider reported a failure."""
        self.error = "provider_failed" if self.whole else "provider_stream_error"


def _tells(report: OpenaiReport | AnthropicReport | dict[str, object]) -> bool:
    """Whether usage can be taken from it; the usual report is known by two looks."""
    if isinstance(report, OpenaiReport):
        if report.prompt_tokens is not None and report.completion_tokens is not None:
            return True
        return report.usage() is not None
    if isinstance(report, AnthropicReport):
        return True  # it lies over what came before
    return openai_input_usage(report) is not None


Read = Callable[[bytes, Findings], bool]
"""Reads one JSON text, an event's data or a whole reply, into the findings. True where it is an
event that does nothing but report usage."""

Full = TypeVar("Full", bound=msgspec.Struct)
Lean = TypeVar("Lean", bound=msgspec.Struct)


def decode_odd(
    error: Exception, data: bytes, found: Findings, full: msgspec.json.Decoder[Full],
    lean: msgspec.json.Decoder[Lean],
) -> Full | Lean | None:
    """What is read after `error`: JSON that did not fit the types of most replies fits others.

    None where nothing can be read.
    """
    if isinstance(error, msgspec.ValidationError):
        try:
            return lean.decode(data) if found.sink is None else full.decode(data)
        except (ValueError, RecursionError):
            pass
    return decode_again(data, found, full, lean)


def decode_again(
    data: bytes, found: Findings, full: msgspec.json.Decoder[Full],
    lean: msgspec.json.Decoder[Lean],
) -> Full | Lean | None:
    """What a first decoding that failed can still give; None where nothing can be read.

    It is read as `mended`; where the text has an unknown shape, or is longer than that is done,
    the rest may do (`lean`). `[DONE]` is the end of OpenAI's streams.
    """
    if data.strip() == b"[DONE]":
        found.ended = True
        return None
    short = len(data) <= MENDED_BYTES_MAX
    data = mended(data)
    if short:  # without a sink too: images, searches and seconds are in no lean type
        try:
            return full.decode(data)
        except (ValueError, RecursionError):
            pass
    try:
        return lean.decode(data)
    except (ValueError, RecursionError):
        return None


def text_of(value: object) -> str | None:
    """A string as it is; anything else that is there, as JSON (arguments that are an object)."""
    if value is None or isinstance(value, str):
        return value
    return bytes(msgspec.json.encode(value)).decode("utf-8", "replace")
