"""OpenAI's other endpoints: embeddings, moderations, ranking, images, speech, transcription.

Images and sound are no text; of these replies only usage, end and error are read, and the
transcribed words.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from relayd.wire.replytext import CONTENT, Findings, decode_again

_WORDS: Final = frozenset({"transcript.text.delta", "transcription.text.delta"})
_LAST: Final = frozenset({
    "transcript.text.done", "transcription.done", "speech.audio.done",
    "image_generation.completed", "image_edit.completed",
})


class _Lean(msgspec.Struct, gc=False):
    type: Any = None
    usage: Any = None
    error: Any = None


class _Full(_Lean, gc=False):
    delta: Any = None
    text: Any = None


_LEAN: Final = msgspec.json.Decoder(_Lean)
_FULL: Final = msgspec.json.Decoder(_Full)


def read_media(data: bytes, found: Findings) -> bool:
    """Reads a reply or an event. No event is there for its usage alone."""
    try:
        event = _LEAN.decode(data) if found.add is None else _FULL.decode(data)
    except (ValueError, RecursionError):
        again = decode_again(data, found, _FULL, _LEAN)
        if again is None:
            return False
        event = again
    if type(event) is _Full:
        if found.whole:
            found.text(event.text, CONTENT)
        elif event.type in _WORDS:  # the last event repeats all of them
            found.text(event.text if event.delta is None else event.delta, CONTENT)
    if event.type in _LAST:
        found.ended = True
    if event.type == "error" or event.error:
        found.fail()
    found.report(event.usage)
    return False
