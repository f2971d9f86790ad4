"""The fields of POST /v1/audio/speech (type definitions of openai-python 3.57).

Transcription and translation are uploads: wire/multipart.py has them.
"""

from __future__ import annotations

from typing import Final

from relayd.wire.fields import Table, by_name, number
from relayd.wire.walk import Walk


def _format(value: object, walk: Walk) -> object:
    """`stream_format`: `sse` makes the reply an event stream."""
    walk.stream = value == "sse"
    return value


TABLE: Final = Table({
    "model": None,
    "input": None,
    "voice": by_name,
    "instructions": None,
    "response_format": None,
    "speed": number,
    "stream_format": _format,
})
