"""Gemini: replies of generateContent and the embeddings, and the parts of streams.

Each part of a stream is a reply of its own: its text is new, its usage is cumulative.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from relayd.wire.replytext import (
    ARGUMENTS,
    CONTENT,
    NAME,
    REASONING,
    Findings,
    decode_again,
    text_of,
)


_COUNTS: Final = b'TokenCount"'
"""Vertex has reports of `trafficType` alone: they do not stand for one with counts."""


class _Call(msgspec.Struct, gc=False):
    name: Any = None
    args: Any = None


class _Code(msgspec.Struct, gc=False):
    code: Any = None


class _Part(msgspec.Struct, gc=False, rename="camel"):
    text: Any = None
    thought: Any = None
    function_call: _Call | None = None
    executable_code: _Code | None = None


class _Content(msgspec.Struct, gc=False):
    parts: list[_Part] | None = None


class _Grounding(msgspec.Struct, gc=False, rename="camel"):
    web_search_queries: Any = None


class _LeanCandidate(msgspec.Struct, gc=False, rename="camel"):
    finish_reason: Any = None
    grounding_metadata: msgspec.Raw = msgspec.Raw()  # whose shape fails no reply


class _Candidate(_LeanCandidate, gc=False):
    index: Any = None
    content: _Content | None = None


class _Feedback(msgspec.Struct, gc=False, rename="camel"):
    block_reason: Any = None


class _Lean(msgspec.Struct, gc=False, rename="camel"):
    candidates: list[_LeanCandidate] | None = None
    usage_metadata: msgspec.Raw = msgspec.Raw()
    prompt_feedback: _Feedback | None = None
    error: Any = None


class _Full(_Lean, gc=False):
    candidates: list[_Candidate] | None = None  # type: ignore[assignment]


_LEAN: Final = msgspec.json.Decoder(_Lean)
_FULL: Final = msgspec.json.Decoder(_Full)
_GROUNDING: Final = msgspec.json.Decoder(_Grounding)


def read_gemini(data: bytes, found: Findings) -> bool:
    """Reads a reply or a part of a stream. None is there for its usage alone."""
    try:
        event = _LEAN.decode(data) if found.sink is None else _FULL.decode(data)
    except (ValueError, RecursionError):
        again = decode_again(data, found, _FULL, _LEAN)
        if again is None:
            return False
        event = again
    if event.candidates:
        _candidates(event.candidates, found)
    usage = bytes(event.usage_metadata)  # a copy: the original holds on to the text around it
    if usage[:1] == b"{" and (found.usage is None or _COUNTS in usage):
        found.usage = usage  # nearly every part has one; only the last is parsed
        found.unreported = False
    if event.error:
        found.fail()
    if event.prompt_feedback is not None and event.prompt_feedback.block_reason is not None:
        found.ended = True
    return False


def _candidates(candidates: Sequence[_LeanCandidate], found: Findings) -> None:
    searches = 0
    for candidate in candidates:
        if candidate.grounding_metadata:
            searches += _queries(candidate.grounding_metadata)
        if candidate.finish_reason is not None:
            found.ended = True
        if type(candidate) is _Candidate and candidate.content is not None:
            _text(candidate.content, candidate.index, found)
    if searches > found.searches:  # a stream's parts may say them again
        found.searches = searches


def _queries(grounding: msgspec.Raw) -> int:
    """How many searches were made: some of those that are named are empty."""
    try:
        queries = _GROUNDING.decode(grounding).web_search_queries
    except (ValueError, RecursionError):
        return 0
    return sum(bool(query) for query in queries) if isinstance(queries, list) else 0


def _text(content: _Content, index: object, found: Findings) -> None:
    for part in content.parts or ():
        if part.text is not None:
            found.text(part.text, REASONING if part.thought else CONTENT, index)
        elif part.function_call is not None:
            found.text(part.function_call.name, NAME, index)
            found.text(text_of(part.function_call.args), ARGUMENTS, index)
        elif part.executable_code is not None:
            found.text(part.executable_code.code, ARGUMENTS, index)
