"""Responses over WebSocket: client messages in, events out (openai-python 3.57, Codex 0.169).

A `response.create` is the body of POST /v1/responses with a few members of its own; what comes
back are the events of that call's stream, one text message each, their JSON byte for byte, or an
error event. Law: nothing is kept from one response to the next, so an earlier one is not found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import msgspec

from relayd.core.errors import RelayError
from relayd.wire import surrogate
from relayd.wire.chunked import ChunkedReader
from relayd.wire.mended import mended
from relayd.wire.reply_responses import LAST
from relayd.wire.shapes import error_body, error_fields
from relayd.wire.sse import EventReader

EVENT_BYTES_MAX: Final = 16 * 1024 * 1024
"""A longer event is not passed on; the largest hold an image."""
ANSWER_BYTES_MAX: Final = 16 * 1024 * 1024
"""The same for an answer that is no stream."""
SHORT_BYTES_MAX: Final = 1024
NOT_FOUND: Final = "previous_response_not_found"
"""The API's code on which clients send their whole input."""
_OWN: Final = ("type", "event_id", "generate", "stream")
"""Members of the message that are none of the body's, or that are implicit here."""
_TOLD: Final = ("retry-after", "retry-after-ms", "x-should-retry", "x-request-id")
"""Fields of an error's head that clients look at, also in the event."""
_encode: Final = msgspec.json.Encoder().encode
_whole: Final = msgspec.json.Decoder(msgspec.Raw).decode
_split: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Create(NamedTuple):
    """A wish for a response. `body` is that of the same call over HTTP; `model` is the client's.

    `generate` False: the client warms up, and nothing is to be generated.
    """

    body: bytes
    generate: bool
    model: str


def read_create(payload: bytes) -> Create:
    """Reads one text message; raises RelayError for what is no `response.create`.

    The body's members keep their bytes: they are read as those of a call over HTTP.
    """
    members, encode = _members(payload)
    if _value(members.get("type")) != "response.create":
        raise RelayError("unknown_event", param="type")
    if _value(members.pop("stream_id", None)) is not None:
        raise RelayError("invalid_field", param="stream_id",
                         detail="One response at a time is served on a connection.")
    generate = _value(members.get("generate"))
    if generate is not None and type(generate) is not bool:
        raise RelayError("invalid_field", param="generate")
    for name in _OWN:
        members.pop(name, None)
    if _value(members.get("previous_response_id")) in (None, ""):
        members.pop("previous_response_id", None)  # "" is the id of a warm-up
    model = _value(members.get("model"))
    members["stream"] = True
    return Create(encode(members), generate is not False, model if type(model) is str else "")


def _members(payload: bytes) -> tuple[dict[str, object], Callable[[object], bytes]]:
    try:
        return dict(_split(payload)), _encode
    except (ValueError, RecursionError):
        pass
    found: object = None
    if surrogate.may_hold_surrogates(payload):
        try:
            found = surrogate.decode(payload)
        except (ValueError, RecursionError):
            pass
    if type(found) is not dict:
        raise RelayError("invalid_json")
    return found, surrogate.encode


def _message(data: bytes) -> bytes | None:
    """An event as a text message; None for [DONE], and the half of an event before a break."""
    data = _as_text(data)
    try:
        _whole(data)
    except (ValueError, RecursionError):
        try:
            _whole(mended(data))
        except (ValueError, RecursionError):
            return None
    return data


def _as_text(data: bytes) -> bytes:
    """What is no UTF-8 would end the connection (RFC 6455 section 8.1)."""
    return data if data.isascii() else data.decode("utf-8", "replace").encode()


def _parts(event: bytes) -> dict[str, msgspec.Raw]:
    """The members of an event or a response; raises ValueError or RecursionError."""
    try:
        return _split(event)
    except (ValueError, RecursionError):
        return _split(mended(event))


def _value(member: object) -> object:
    """A member that is short if it is sound; long ones are nothing that is looked for."""
    if not isinstance(member, msgspec.Raw):
        return member
    raw = bytes(member)
    if len(raw) > SHORT_BYTES_MAX:
        return msgspec.UNSET
    try:
        return msgspec.json.decode(raw)
    except (ValueError, RecursionError):
        return msgspec.UNSET


def _kind(event: bytes) -> object:
    """What an event says that it is; none where it is no object."""
    try:
        return _value(_parts(event).get("type"))
    except (ValueError, RecursionError):
        return None


def warm_up(model: str, created_at: int) -> list[bytes]:
    """The events that answer a warm-up: a response of nothing, whose id is "".

    Codex builds on a response by its id; with none it sends its whole input.
    """
    response: dict[str, object] = {
        "id": "", "object": "response", "created_at": created_at, "status": "in_progress",
        "error": None, "incomplete_details": None, "instructions": None, "metadata": {},
        "model": model, "output": [], "parallel_tool_calls": True, "tool_choice": "auto",
        "tools": [], "usage": None,
    }
    usage = {
        "input_tokens": 0,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 0, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 0,
    }
    completed = {**response, "status": "completed", "usage": usage}
    return [
        _encode({"type": "response.created", "sequence_number": 0, "response": response}),
        _encode({"type": "response.completed", "sequence_number": 1, "response": completed}),
    ]


def error_event(error: RelayError, call_id: str) -> bytes:
    """An error of the relay's, as an event."""
    fields = {name.decode(): value.decode() for name, value in error_fields(error)}
    return _refusal(error.status, error_body("openai", error, call_id),
                    {**fields, "x-request-id": call_id})


def _refusal(status: int, body: bytes, fields: Mapping[str, str]) -> bytes:
    """The event for an error reply: openai-python reads `error`, Codex `status` and `headers`."""
    try:
        found = msgspec.json.decode(mended(body))
    except (ValueError, RecursionError):
        found = None
    error = found.get("error") if type(found) is dict else None
    if type(error) is not dict:
        error = {"type": "server_error", "code": None, "param": None,
                 "message": "The provider answered with an error that cannot be shown."}
    if error.get("code") == "refused_field" and error.get("param") == "previous_response_id":
        error["code"] = NOT_FOUND
    told = {name: fields[name] for name in _TOLD if name in fields}
    return _encode({"type": "error", "status": status, "error": {**error, "headers": told},
                    "headers": told})


class ReplyReader:
    """Reads one reply as the relay writes it over HTTP/1.1, and gives out its events.

    `told`: something has been given out; `ended`: a response's last event has; `done`: the
    reply was whole.
    """

    __slots__ = ("told", "ended", "done", "_status", "_fields", "_length", "_chunked", "_events",
                 "_body", "_skipped")

    def __init__(self) -> None:
        self.told = False
        self.ended = False
        self.done = False
        self._status = 0
        self._fields: dict[str, str] = {}
        self._length = 0
        self._chunked: ChunkedReader | None = None
        self._events: EventReader | None = None
        self._body = bytearray()
        self._skipped = False

    def feed(self, data: bytes) -> list[bytes]:
        """The events that end in these bytes. A head always comes in one piece."""
        if not self._status:
            data = self._read_head(data)
        if self._chunked is None:
            pieces = [data] if data else []
            self._length -= len(data)
            self.done = self._length <= 0
        else:
            pieces, _ = self._chunked.feed(data)
            self.done = self._chunked.done
        found = self._passing(pieces) if self._events is not None else self._gathered(pieces)
        if found:
            self.told = True
            self.ended = self.ended or _kind(found[-1]) in LAST
        return found

    def _read_head(self, data: bytes) -> bytes:
        head, _, rest = data.partition(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        self._status = int(line[9:12])
        for field in lines:
            name, _, value = field.partition(":")
            self._fields[name.lower()] = value.strip()
        self._length = int(self._fields.get("content-length", 0))
        if self._fields.get("transfer-encoding") == "chunked":
            self._chunked = ChunkedReader()
        if self._fields.get("content-type", "").startswith("text/event-stream"):
            self._events = EventReader(EVENT_BYTES_MAX)
        return rest

    def _passing(self, pieces: list[bytes]) -> list[bytes]:
        reader = self._events
        assert reader is not None
        found = [data for piece in pieces for _, data, _, _ in reader.feed(piece)]
        if self.done and (last := reader.close()) is not None:
            found.append(last[1])
        if reader.skipped and not self._skipped:
            self._skipped = True
            found.append(_refusal(502, b"", self._fields))
        return [self._socketed(data) for data in map(_message, found) if data is not None]

    def _socketed(self, data: bytes) -> bytes:
        """An event as a socket has it: there an error has a status, without which Codex waits."""
        if b'"error"' not in data or _kind(data) != "error":
            return data
        event = _parts(data)
        if "status" in event:
            return data
        error = {name: event.get(name) for name in ("code", "message", "param")}
        body = {"error": event.get("error", {"type": "server_error", **error})}
        return _refusal(502, _encode(body), self._fields)

    def _gathered(self, pieces: list[bytes]) -> list[bytes]:
        """An error, or a response that the provider did not stream."""
        if len(self._body) <= ANSWER_BYTES_MAX:
            for piece in pieces:
                self._body += piece
        if not self.done:
            return []
        body = _as_text(bytes(self._body))
        self._body.clear()
        if self._status < 400 and len(body) <= ANSWER_BYTES_MAX:
            try:
                response = msgspec.Raw(_encode(_parts(body)))
                return [_encode({"type": "response.completed", "sequence_number": 0,
                                 "response": response})]
            except (ValueError, RecursionError):
                pass
        status = self._status if self._status >= 400 else 502
        return [_refusal(status, body if self._status >= 400 else b"", self._fields)]
