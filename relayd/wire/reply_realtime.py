"""Server events of OpenAI's realtime API: what passes, and what is read of it.

Every event passes byte for byte but those that tell of the operator and not of the answer: the
figures of his rate limits are withheld, an error that names him gets the relay's own words, and so
does that of a response or a transcription that failed; a key to the provider in a session is
blotted out.

Law: an event whose type says that it is a piece of sound is not parsed at all. Text goes to the
sink and is kept nowhere. Each response of a session is a call that the provider bills by itself,
so here, and only here, reports of usage are summed. Of one that its client does not wait for there
is no report, and what passed of it is reckoned by its length.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from relayd.core.errors import RelayError
from relayd.core.usage import NO_USAGE, Beside, Usage
from relayd.wire.mended import mended
from relayd.wire.provider_error import judge
from relayd.wire.replytext import ARGUMENTS, CONTENT, NAME, TextSink, stream_of
from relayd.wire.shapes import error_body
from relayd.wire.sound import RAW_BYTES_PER_SECOND, TOKENS_PER_SECOND
from relayd.wire.usage import openai_usage

# every writer of this API puts the type first; anything else is parsed to find it
_TYPE: Final = re.compile(rb'\s*\{\s*"type"\s*:\s*"([a-z_.]{1,80})"')
_WITHHELD: Final = frozenset({"rate_limits.updated"})
_SOUND: Final = frozenset({"response.output_audio.delta", "response.audio.delta"})
_DELTAS: Final[Mapping[str, int]] = {
    "response.output_text.delta": CONTENT, "response.text.delta": CONTENT,
    "response.output_audio_transcript.delta": CONTENT,
    "response.audio_transcript.delta": CONTENT,
    "response.function_call_arguments.delta": ARGUMENTS,
    "response.mcp_call_arguments.delta": ARGUMENTS,
}
_TRANSCRIBED: Final = "conversation.item.input_audio_transcription.completed"
_NOT_TRANSCRIBED: Final = "conversation.item.input_audio_transcription.failed"
_OF_WHICH: Final = ("type", "event_id", "item_id", "content_index")
_SESSION: Final = ("session.", "transcription_session.")
_SECRET: Final = b'"client_secret"'
_READ: Final = frozenset({
    *_DELTAS, _TRANSCRIBED, _NOT_TRANSCRIBED, "error", "response.created", "response.done",
    "response.output_item.added",
})
_TELLING: Final = frozenset({"error", "response.done", _NOT_TRANSCRIBED})
"""Events with words of the provider's own, which are judged even where they cannot be read."""
TELEPHONE_BYTES_PER_SECOND: Final = 8_000
"""Of G.711, which sessions may ask for in the place of 24,000 samples of 16 bits."""
BYTES_PER_TOKEN: Final = 4
_TELEPHONE: Final = ("g711_ulaw", "g711_alaw", "audio/pcmu", "audio/pcma")
_DELTA: Final = b'"delta":"'
RUNNING_MAX: Final = 64
"""Responses of one session under way at a time that are told apart."""


class _Event(msgspec.Struct, gc=False):
    type: Any = None
    response: Any = None
    response_id: Any = None
    output_index: Any = None
    delta: Any = None
    item: Any = None
    usage: Any = None
    error: Any = None


_EVENT: Final = msgspec.json.Decoder(_Event)


def total(one: Usage | None, other: Usage) -> Usage:
    """What a session has used with one more response."""
    return other if one is None else one.plus(other)


class SessionReader:
    """Reads the server events of one session. Holds figures and the ids of running responses.

    `secrets` are those of wire/provider_error.py.
    """

    __slots__ = ("usage", "running", "heard_sound", "failed", "_secrets", "_sink", "_numbers",
                 "_asked", "_ended", "_last", "_told", "_text_bytes", "_sound_bytes", "_rate")

    def __init__(self, secrets: tuple[bytes, ...], sink: TextSink | None) -> None:
        self.usage: Usage | None = None
        """What has been reported so far, of all responses."""
        self.running: set[str] = set()
        """Responses that have begun and not ended."""
        self.heard_sound = False
        """Some of the answers are sound, whose tokens are not those of any text."""
        self.failed: str | None = None
        """A code of core.errors for the last error event or failed response; None after a
        response that was completed."""
        self._secrets = secrets
        self._sink = sink
        self._numbers = 0
        self._asked = 0
        self._ended = 0
        self._last: Usage | None = None
        self._told = 0
        self._text_bytes = self._sound_bytes = 0
        self._rate = RAW_BYTES_PER_SECOND

    def tell(self, size: int) -> None:
        """The client has said so many bytes of JSON, sound apart."""
        self._told += size

    def so_far(self) -> Usage | None:
        """What has been reported, and of running responses what they were given, as the last one
        was, and what passed of them. None: nothing is known."""
        if not self.running:
            return self.usage
        last = self._last or Usage(input_tokens=self._told // BYTES_PER_TOKEN)
        sound = self._sound_bytes * 3 // 4 * TOKENS_PER_SECOND // self._rate
        text = -(-self._text_bytes // BYTES_PER_TOKEN)
        used = Usage(output_tokens=sound + text, audio_output_tokens=sound)
        given = msgspec.structs.replace(
            last, output_tokens=0, audio_output_tokens=0, reasoning_output_tokens=0)
        for _ in self.running:
            used = used.plus(given)
        return Beside(*msgspec.structs.astuple(used.plus(self.usage or NO_USAGE)))

    def ask(self) -> None:
        """The client asks for one more response."""
        self._asked = max(self._asked, self._numbers) + 1

    @property
    def awaited(self) -> int:
        """Responses that the client has asked for, or that have begun, and that have not ended."""
        return max(self._asked, self._numbers) - self._ended

    def passing(self, payload: bytes) -> bytes | None:
        """What of a text message goes to the client: None as it is, else what stands for it.

        b"" where nothing does. Reads what is to be read of it too.
        """
        match = _TYPE.match(payload)
        kind = match[1].decode() if match else _kind(payload)
        if kind in _SOUND:
            self.heard_sound = True
            self._sound_bytes += len(payload) - max(payload.find(_DELTA), 0) - len(_DELTA)
            return None
        if kind in _WITHHELD:
            return b""
        if kind.startswith(_SESSION):
            self._rate = _rate(payload)
            return _without_secret(payload) if _SECRET in payload else None
        if kind not in _READ:
            return None
        found = _decoded(payload)
        if found is None:
            return self._instead(payload, None) if kind in _TELLING else None
        return self._read(kind, *found)

    def _read(self, kind: str, event: _Event, payload: bytes) -> bytes | None:
        if kind in _DELTAS:
            self._text(event.delta, _DELTAS[kind], event.output_index)
        elif kind == "response.output_item.added":
            item = event.item
            self._text(item.get("name") if type(item) is dict else None, NAME, event.output_index)
        elif kind == "response.created":
            self._begun(event.response)
        elif kind == "response.done":
            return self._done(event.response, payload)
        elif kind == _TRANSCRIBED:
            self._transcribed(event.usage)
        elif kind == _NOT_TRANSCRIBED:
            verdict = judge("openai", 200, payload, self._secrets)
            return None if verdict.passes else _not_transcribed(payload, verdict.code)
        else:
            return self._instead(payload, event.error)
        return None

    def _text(self, text: object, kind: int, index: object) -> None:
        if type(text) is not str or not text:
            return
        self._text_bytes += len(text)
        if self._sink is not None:
            place = index if type(index) is int and 0 <= index < 8 else 0
            self._sink.add(text, stream_of(kind, self._numbers * 8 + place))

    def _begun(self, response: object) -> None:
        self._numbers += 1
        name = response.get("id") if type(response) is dict else None
        if type(name) is str and len(self.running) < RUNNING_MAX:
            self.running.add(name)

    def _done(self, response: object, payload: bytes) -> bytes | None:
        if type(response) is not dict:
            return None
        name = response.get("id")
        if type(name) is str:
            self.running.discard(name)
        if not self.running:
            self._text_bytes = self._sound_bytes = 0
        self._ended = min(self._ended + 1, max(self._asked, self._numbers))
        report = response.get("usage")
        found = openai_usage(report) if type(report) is dict else None
        if found is not None:
            self._last = found
            self.usage = total(self.usage, found)
        details = response.get("status_details")
        if response.get("status") != "failed" or type(details) is not dict:
            self.failed = None
            return None
        verdict = judge("openai", 200, msgspec.json.encode(details), self._secrets)
        self.failed = verdict.code
        if verdict.passes:
            return None
        return _failed_anonymously(payload, name, RelayError(verdict.code))

    def _transcribed(self, report: object) -> None:
        """What was said to the model, written down by another one: billed beside the response."""
        if type(report) is not dict:
            return
        found = openai_usage(report)
        if found is not None:
            self.usage = total(self.usage, found)

    def _instead(self, payload: bytes, told: object) -> bytes | None:
        """An error event as the client gets it: its own, or the relay's words in its place."""
        verdict = judge("openai", 200, payload, self._secrets)
        self.failed = verdict.code
        self._asked = max(self._asked - 1, self._numbers)  # the one that was refused, if it was
        if verdict.passes:
            return None
        asked = told.get("event_id") if type(told) is dict else None
        return error_event(RelayError(verdict.code), asked if type(asked) is str else None, "")


def _kind(payload: bytes) -> str:
    """The type of an event that does not begin with it."""
    found = _decoded(payload)
    kind = None if found is None else found[0].type
    return kind if type(kind) is str else ""


def _decoded(payload: bytes) -> tuple[_Event, bytes] | None:
    """An event, and the bytes that it was read from; None where it cannot be read."""
    try:
        return _EVENT.decode(payload), payload
    except (ValueError, RecursionError):
        payload = mended(payload)
    try:
        return _EVENT.decode(payload), payload
    except (ValueError, RecursionError):
        return None


def _rate(payload: bytes) -> int:
    """Bytes of a second of the sound that a session makes, by an event that describes it."""
    try:
        session = msgspec.json.decode(payload)["session"]
        audio = session.get("audio")
        if audio is None:
            kind = session.get("output_audio_format")
        else:
            kind = audio["output"]["format"]["type"]
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return RAW_BYTES_PER_SECOND
    return TELEPHONE_BYTES_PER_SECOND if kind in _TELEPHONE else RAW_BYTES_PER_SECOND


def _without_secret(payload: bytes) -> bytes | None:
    """A session without the key that would let its client go to the provider directly."""
    try:
        event = msgspec.json.decode(mended(payload))
        session = event["session"]
        if session.get("client_secret") is None:
            return None
        session["client_secret"] = None
        return msgspec.json.encode(event)
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return b""


def _failed_anonymously(payload: bytes, name: object, error: RelayError) -> bytes:
    details = {"type": "failed", "error": _told(error)}
    try:
        event = msgspec.json.decode(payload)
        event["response"]["status_details"] = details
    except (ValueError, RecursionError):  # by a member that nobody has looked at
        response = {"id": name, "object": "realtime.response", "status": "failed", "output": []}
        event = {"type": "response.done", "response": {**response, "status_details": details}}
    return msgspec.json.encode(event)


def _not_transcribed(payload: bytes, code: str) -> bytes:
    """The same for words of a client that could not be written down: its session goes on."""
    try:
        event = msgspec.json.decode(payload)
    except (ValueError, RecursionError):
        event = {"type": _NOT_TRANSCRIBED}
    # what named the operator may stand beside the error
    kept = {name: event[name] for name in _OF_WHICH if name in event}
    return msgspec.json.encode({**kept, "error": _told(RelayError(code))})


def _told(error: RelayError) -> dict[str, object]:
    told: dict[str, object] = msgspec.json.decode(error_body("openai", error, ""))["error"]
    return told


def error_event(error: RelayError, event_id: str | None, own_id: str) -> bytes:
    """An error of the relay's as this API tells one; `event_id` is that of the client's event."""
    return msgspec.json.encode({
        "type": "error", "event_id": own_id,
        "error": {**_told(error), "event_id": event_id},
    })
