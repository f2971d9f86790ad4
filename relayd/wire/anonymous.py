"""Errors inside replies that name the operator: the relay's own words stand for them.

Law: all other bytes pass as they came. What is held back is an event that has not come whole, its
first bytes or an error: no client can do anything with those.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from relayd.core.errors import RelayError
from relayd.core.provider import Api
from relayd.wire.mended import mended
from relayd.wire.provider_error import judge
from relayd.wire.shapes import stream_error
from relayd.wire.sse import EVENT_END, REACH, EventReader

ERROR: Final = b'"error"'
"""What an error event has in it, as a name or as its type: nothing else need be asked."""
HELD_BYTES_MAX: Final = 1024 * 1024
"""A longer event passes as it comes."""
SHORT_BYTES: Final = 512
"""The beginning of an event by which it is seen to be an error."""
_MEMBER: Final = re.compile(rb'"error"\s*(?::\s*(?:[{"\[]|\Z)|[,}]|\Z)')
"""An error as a member or as a type, or what may become one; `"error": null` is none."""
_PAGE: Final = re.compile(rb"\s{0,64}<(?:!doctype|html)\b", re.IGNORECASE)
_EVENTS: Final = re.compile(rb"\s{0,64}(?:data|event|id|retry)?:")
_ENDS: Final = (b"\n\n", b"\r\n\r\n", b"\r\r")
_ANSWER: Final = frozenset({"choices", "candidates"})
"""What the model says beside an error is no part of it."""


class ErrorGuard:
    """What has to be known of one stream. `secrets` are those of wire/provider_error.py."""

    __slots__ = ("_api", "_operation", "_secrets", "_id", "_held", "_sure")

    def __init__(
        self, api: Api, operation: str, secrets: tuple[bytes, ...], request_id: str
    ) -> None:
        self._api: Api = api
        self._operation = operation
        self._secrets = secrets
        self._id = request_id
        self._held = bytearray()
        self._sure = False
        """What is held has an error in it."""

    @property
    def holds(self) -> bool:
        """Whether the next bytes belong to an event that is held back."""
        return bool(self._held)

    def passing(self, data: bytes, complete: bool) -> bytes:
        """What goes to the client now. `complete`: nothing comes afterwards."""
        held = self._held
        if held:
            near = max(0, len(held) - REACH)
            held += data
            if (self._sure and len(held) <= HELD_BYTES_MAX and not complete
                    and EVENT_END.search(held, near) is None):
                return b""
            data = bytes(held)
            held.clear()
        if data.find(ERROR) < 0:
            return data if complete else self._without_begin(data)
        passed = []
        start = 0
        for end in EVENT_END.finditer(data):
            passed.append(self._event(data[start:end.end()]))
            start = end.end()
        rest = data[start:]
        if complete:
            rest = self._last(rest)
        elif rest:
            rest = self._without(rest)
        return b"".join([*passed, rest])

    def _without_begin(self, data: bytes) -> bytes:
        """Bytes without an error, less the first ones of an event that ends later."""
        near = max(0, len(data) - SHORT_BYTES - 4)
        start = 0
        for end in _ENDS:
            at = data.rfind(end, near)
            if at >= 0:
                start = max(start, at + len(end))
        if not 0 < len(data) - start <= SHORT_BYTES:
            return data
        self._hold(data[start:], False)
        return data[:start]

    def _without(self, begun: bytes) -> bytes:
        """The same for an event that may have an error in it."""
        sure = _MEMBER.search(begun) is not None
        if len(begun) > (HELD_BYTES_MAX if sure else SHORT_BYTES):
            return begun
        self._hold(begun, sure)
        return b""

    def _hold(self, begun: bytes, sure: bool) -> None:
        self._held += begun
        self._sure = sure

    def _last(self, rest: bytes) -> bytes:
        """The same for an event that has no end: half an error, too, may name the operator."""
        passed = self._event(rest)
        if passed is not rest or _MEMBER.search(rest) is None or _is_json(_data_of(rest)):
            return passed
        if judge(self._api, 200, rest, self._secrets).passes:
            return rest
        return self._instead(rest, "upstream_truncated")

    def _event(self, event: bytes) -> bytes:
        if event.find(ERROR) < 0:
            return event
        data = _data_of(event)
        told = error_in(data)
        if told is None:
            if _MEMBER.search(data) is None or _is_json(mended(data)):
                return event
            told = data  # nothing says what of it is the model's
        verdict = judge(self._api, 200, told, self._secrets)
        return event if verdict.passes else self._instead(event, verdict.code)

    def _instead(self, event: bytes, code: str) -> bytes:
        """What stands for an event, behind a line end that may belong to the one before."""
        before = event[:len(event) - len(event.lstrip(b"\r\n"))]
        return before + stream_error(self._api, self._operation, RelayError(code), self._id)


def _data_of(event: bytes) -> bytes:
    reader = EventReader(len(event))
    found = next(iter(reader.feed(event)), None) or reader.close()
    return b"" if found is None else found[1]


def _is_json(data: bytes) -> bool:
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
    except (ValueError, RecursionError):
        return False
    return True


class _Look(msgspec.Struct, gc=False):
    type: Any = None
    object: Any = None
    error: Any = None


_LOOK: Final = msgspec.json.Decoder(_Look)
_LOOKS: Final = msgspec.json.Decoder(list[_Look])


def begins_as_error(data: bytes, most: int) -> bool:
    """Whether the first `most` octets of a reply, or of an element, may be those of an error."""
    return _MEMBER.search(data, 0, most) is not None or _PAGE.match(data) is not None


def told_in(reply: bytes) -> bytes | None:
    """As `error_in`, of a whole reply, whatever it calls itself: JSON, a list, events, a page."""
    if _PAGE.match(reply):
        return reply[:SHORT_BYTES]
    if not _EVENTS.match(reply):
        return error_in(reply)
    reader = EventReader(len(reply))
    events = [*reader.feed(reply), reader.close()]
    found = (error_in(event[1]) for event in events if event is not None)
    return next((told for told in found if told is not None), None)


def error_in(data: bytes) -> bytes | None:
    """What of an event, or of a JSON reply, tells of a failure of the call; None where nothing
    does."""
    if _MEMBER.search(data) is None:
        return None
    try:
        return _failure_in(data)
    except (ValueError, RecursionError):
        pass
    try:  # it may repeat what was sent, cut in the middle of a character
        return _failure_in(mended(data))
    except (ValueError, RecursionError):
        return None


def _failure_in(data: bytes) -> bytes | None:
    looks = _LOOKS.decode(data) if data[:64].lstrip()[:1] == b"[" else [_LOOK.decode(data)]
    number = next((at for at, look in enumerate(looks) if _fails(look)), None)
    if number is None:
        return None
    event = msgspec.json.decode(data)
    return _told(event[number] if isinstance(event, list) else event)


def _fails(look: _Look) -> bool:
    return (bool(look.error) or look.object == "error"
            or look.type in ("error", "response.failed"))


def _told(event: dict[str, object]) -> bytes | None:
    told: object = None
    if event.get("type") == "response.failed":
        response = event.get("response")
        told = response.get("error") if isinstance(response, dict) else None
    else:
        told = {name: value for name, value in event.items() if name not in _ANSWER}
    return msgspec.json.encode(told) if told else None
