"""Client events of OpenAI's realtime API, by type (type definitions of openai-python 3.57).

Both generations of the API have one table: the members of 2025's beta stand behind those of the
general one. Everything a client says is written anew, canonically, as a request body is: so that
two clients that ask the same thing are not told apart by how their JSON library or their WebSocket
library writes. Sessions and responses take the members of their tables alone; what no table knows
falls under `[privacy] unknown_fields`, as the members of a request body do.

Null is a value here (`turn_detection: null` turns it off), so it is kept where the table has the
name. Ids are the client's own names for events and items of this one session, which the provider
gives back to it: they pass where they have the form of an id.

Law: nothing of an event gets into an exception, its context, or a repr.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from relayd.core.errors import RelayError
from relayd.wire import surrogate
from relayd.wire.body import parsed
from relayd.wire.fields import (
    GONE, Act, Shape, Verdict, by_name, drop, items, kinds, number, refuse, silent,
)
from relayd.wire.openai_tools import TOOLS
from relayd.wire.walk import BodyPolicy, Walk, printable

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_encode: Final = msgspec.json.Encoder().encode


class ClientEvent(NamedTuple):
    """One event, read. `data` is what the provider gets; b"" where `error` says why it does not.

    `type` is "" for one that no table knows; `event_id` is the client's own, None without one.
    """

    type: str
    event_id: str | None
    data: bytes
    error: RelayError | None


def _id(value: object, walk: Walk) -> object:
    if value is None or (type(value) is str and _ID.fullmatch(value)):
        return value
    return GONE


def _closed(report: str, verdicts: Mapping[str, Verdict]) -> Act:
    """An object that takes the members of its table alone, unless the policy says otherwise."""
    shape = Shape(verdicts)

    def act(value: object, walk: Walk) -> object:
        if type(value) is not dict:
            raise RelayError("invalid_field", param=report)
        policy = walk.policy
        for name in [name for name in value if name not in verdicts]:
            if policy.unknown_fields == "pass" or name in policy.pass_fields:
                continue
            if policy.unknown_fields == "refuse" and value[name] is not None:
                raise RelayError("unknown_field", param=f"{report}.{printable(name)}")
            walk.drop(f"{report}.{name}")
            del value[name]
        return shape.put(value, walk)
    return act


_TURNS: Final = Shape({
    "type": None, "threshold": number, "prefix_padding_ms": number,
    "silence_duration_ms": number, "idle_timeout_ms": number, "eagerness": None,
    "create_response": None, "interrupt_response": None,
}).put
_TRANSCRIPTION: Final = Shape({
    "model": None, "language": None, "languages": None, "prompt": None, "keywords": None,
    "delay": None,
}).put
_NOISE: Final = Shape({"type": None, "strength": number}).put
_FORMAT: Final = Shape({"type": None, "rate": number}).put
_VOICE: Final = Shape({"id": None}).put
_AUDIO: Final = Shape({
    "input": Shape({
        "format": _FORMAT, "noise_reduction": _NOISE, "transcription": _TRANSCRIPTION,
        "turn_detection": _TURNS,
    }).put,
    "output": Shape({"format": _FORMAT, "voice": _VOICE, "speed": number}).put,
}).put


def _conversation(value: object, walk: Walk) -> object:
    """`conversation` of a response: this session's, or none; never another by its id."""
    if value in ("auto", "none", None):
        return value
    raise RelayError("refused_field", param="response.conversation")


def _identity(report: str) -> dict[str, Verdict]:
    """What would name the end user, or keep something at the provider under the operator."""
    return {
        **{name: drop(f"{report}.{name}") for name in (
            "user", "safety_identifier", "metadata", "tracing", "prompt_cache_key", "store",
            "client_secret")},
        "prompt": refuse(f"{report}.prompt"),
    }


_PART: Final = items(Shape({
    "type": None, "id": _id, "text": None, "audio": None, "transcript": None, "image_url": None,
    "detail": None, "file_id": refuse("item.content.file_id"),
}).put)
_ITEM: Final = _closed("item", {
    "type": None, "id": _id, "object": None, "status": None, "role": None, "phase": None,
    "content": _PART, "call_id": None, "name": None, "arguments": None, "output": None,
    "server_label": None, "approval_request_id": None, "approve": None, "reason": None,
    "error": by_name, "tools": TOOLS,
})
_ASKED: Final[dict[str, Verdict]] = {
    "output_modalities": None, "instructions": None, "audio": _AUDIO, "tools": TOOLS,
    "tool_choice": by_name, "parallel_tool_calls": None, "max_output_tokens": number,
    "reasoning": by_name,
}
"""What a session sets for its responses, and a response for itself."""
_BETA: Final[dict[str, Verdict]] = {
    "modalities": None, "voice": _VOICE, "input_audio_format": None, "output_audio_format": None,
    "input_audio_noise_reduction": _NOISE, "input_audio_transcription": _TRANSCRIPTION,
    "turn_detection": _TURNS, "speed": number, "temperature": number,
    "max_response_output_tokens": number,
}
_SESSION: Final = _closed("session", {
    "type": None, **_ASKED, "truncation": by_name, "include": None, **_BETA,
    # the model is the one of the address; names of the session that clients send back
    **dict.fromkeys(("model", "id", "object", "expires_at"), silent),
    **_identity("session"),
})
_RESPONSE: Final = _closed("response", {
    "conversation": _conversation, **_ASKED, "input": items(_ITEM), **_BETA,
    **_identity("response"),
})

_ITEM_NAMED: Final[dict[str, Verdict]] = {"item_id": _id}
_MEMBERS: Final[dict[str, dict[str, Verdict]]] = {
    "session.update": {"session": _SESSION},
    "transcription_session.update": {"session": _SESSION},
    "response.create": {"response": _RESPONSE},
    "response.cancel": {"response_id": _id},
    "conversation.item.create": {"previous_item_id": _id, "item": _ITEM},
    "conversation.item.retrieve": _ITEM_NAMED,
    "conversation.item.delete": _ITEM_NAMED,
    "conversation.item.truncate": {
        **_ITEM_NAMED, "content_index": number, "audio_end_ms": number},
    "input_audio_buffer.append": {"audio": None},
    "input_audio_buffer.commit": {},
    "input_audio_buffer.clear": {},
    "output_audio_buffer.clear": {},
}
EVENT_TYPES: Final = frozenset(_MEMBERS)
_EVENTS: Final[dict[str, Act]] = {
    name: _closed("event", {"type": None, "event_id": _id, **members})
    for name, members in _MEMBERS.items()
}


def _other(value: object, walk: Walk) -> object:
    """An event of a type that no table knows."""
    if walk.policy.unknown_fields == "pass":
        return by_name(value, walk)
    raise RelayError("unknown_event", param="type")


_EVENT: Final = kinds("type", _EVENTS, _other)


def read_event(payload: bytes, policy: BodyPolicy) -> ClientEvent:
    """Reads one text message of a client. Never raises: the event's `error` says what is wrong."""
    try:
        event = parsed(payload)
    except RelayError as error:
        return ClientEvent("", None, b"", error)
    kind = event.get("type")
    name = kind if type(kind) is str and kind in EVENT_TYPES else ""
    given = event.get("event_id")
    event_id = given if type(given) is str else None
    try:
        data = _written(_EVENT(event, Walk(policy)))
    except RelayError as error:
        return ClientEvent(name, event_id, b"", error)
    return ClientEvent(name, event_id, data, None)


def _written(event: object) -> bytes:
    try:
        return _encode(event)
    except UnicodeEncodeError:
        pass
    return surrogate.encode(event)
