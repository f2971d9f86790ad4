"""What a reply of the demo provider is made of: one body, or the events of a stream.

Law: everything is framed here, before the first byte goes; pacing and faults are for `demo.app`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

Body = dict[str, Any]

JSON: Final = "application/json"
SSE: Final = "text/event-stream; charset=utf-8"
DONE: Final = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Plain:
    """A reply in one piece."""

    body: bytes
    content_type: str = JSON


@dataclass(frozen=True, slots=True)
class Streamed:
    """A reply in pieces.

    `events` are sent at the demo's pace; `end` are the events that end the answer, at once;
    `error` is what an error in the middle looks like.
    """

    events: tuple[bytes, ...]
    end: tuple[bytes, ...]
    error: bytes = b""
    content_type: str = SSE


Reply = Plain | Streamed
Operation = Callable[[Body], Reply]


def json_reply(value: object) -> Plain:
    """A JSON reply."""
    return Plain(orjson.dumps(value))


def event(data: Mapping[str, Any], name: str | None = None) -> bytes:
    """One server-sent event (WHATWG HTML 9.2)."""
    head = b"" if name is None else b"event: " + name.encode() + b"\n"
    return head + b"data: " + orjson.dumps(data) + b"\n\n"


def typed(data: Mapping[str, Any]) -> bytes:
    """An event that is named as its own `type`: Anthropic's and OpenAI's newer ones."""
    return event(data, data["type"])
