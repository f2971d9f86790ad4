"""Anthropic messages: replies, and events of their streams.

Usage comes twice in a stream: `message_start` gives the input side and a provisional output,
`message_delta` overlays it field by field with cumulative figures.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from relayd.wire.replytext import (
    ARGUMENTS,
    CONTENT,
    NAME,
    REASONING,
    Findings,
    decode_odd,
    text_of,
)
from relayd.wire.usage import overlaid
from relayd.wire.usage_typed import AnthropicReport

_CALLS: Final = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})


class _Block(msgspec.Struct, gc=False):
    type: str | None = None
    text: Any = None
    thinking: Any = None
    name: Any = None
    input: Any = None
    content: msgspec.Raw = msgspec.Raw()  # what a search found, which nobody reads, or a summary


class _Delta(msgspec.Struct, gc=False):
    text: Any = None
    thinking: Any = None
    partial_json: Any = None
    content: Any = None  # of a compaction


class _Message(msgspec.Struct, gc=False):
    usage: Any = None


class _Lean(msgspec.Struct, gc=False):
    type: Any = None
    message: _Message | None = None
    usage: Any = None
    error: Any = None


class _Full(_Lean, gc=False):
    index: Any = None
    delta: _Delta | None = None
    content_block: _Block | None = None
    content: list[_Block] | None = None


class _UsualMessage(_Message, gc=False):
    usage: AnthropicReport | None = None


class _UsualLean(_Lean, gc=False):
    message: _UsualMessage | None = None
    usage: AnthropicReport | None = None


class _UsualFull(_Full, gc=False):
    message: _UsualMessage | None = None
    usage: AnthropicReport | None = None


_LEAN: Final = msgspec.json.Decoder(_Lean)
_FULL: Final = msgspec.json.Decoder(_Full)
_USUAL_LEAN: Final = msgspec.json.Decoder(_UsualLean)
_USUAL_FULL: Final = msgspec.json.Decoder(_UsualFull)


def read_messages(data: bytes, found: Findings) -> bool:
    """Reads a reply or an event. No event is there for its usage alone."""
    event: _Lean | None
    try:
        event = _USUAL_LEAN.decode(data) if found.sink is None else _USUAL_FULL.decode(data)
    except (ValueError, RecursionError) as error:
        event = decode_odd(error, data, found, _FULL, _LEAN)
    if event is None:
        return False
    if type(event) is _UsualFull or type(event) is _Full:
        _text(event, found)
    if event.type == "content_block_delta":
        return False
    if event.message is not None:
        _report(event.message.usage, found)
    if event.usage is not None:
        _report(event.usage, found)
    if event.type == "message_stop":
        found.ended = True
    if event.type == "error" or event.error:
        found.fail()
    return False


def _report(usage: object, found: Findings) -> None:
    """Notes a report over what an earlier one said: a stream's last one has less in it."""
    earlier = found.usage
    if type(usage) is AnthropicReport:
        if type(earlier) is AnthropicReport:
            usage = usage.over(earlier)
        elif earlier is not None:
            usage = msgspec.to_builtins(usage)
    if isinstance(usage, dict):
        before = found.usage_object()
        usage = usage if before is None else overlaid(before, usage)
    found.report(usage)


def _text(event: _Full, found: Findings) -> None:
    delta = event.delta
    if delta is not None:
        if delta.text is not None:
            found.text(delta.text, CONTENT, event.index)
        elif delta.partial_json is not None:
            found.text(delta.partial_json, ARGUMENTS, event.index)
        elif delta.thinking is not None:
            found.text(delta.thinking, REASONING, event.index)
        elif delta.content is not None:
            found.text(delta.content, CONTENT, event.index)
    elif event.content_block is not None:
        _block(event.content_block, event.index, found)
    elif event.content is not None:
        for index, block in enumerate(event.content):
            _block(block, index, found)
            if block.type in _CALLS:
                found.text(text_of(block.input), ARGUMENTS, index)


def _block(block: _Block, index: object, found: Findings) -> None:
    """A whole block of a reply, or a block of a stream as it begins: its input comes as deltas."""
    if block.type in _CALLS:
        found.text(block.name, NAME, index)
    elif block.type == "text":
        found.text(block.text, CONTENT, index)
    elif block.type == "thinking":
        found.text(block.thinking, REASONING, index)
    elif block.type == "compaction":
        found.text(_summary(block.content), CONTENT, index)


def _summary(content: msgspec.Raw) -> object:
    """What a compaction has made of the turns before; in a stream it comes as a delta."""
    try:
        return msgspec.json.decode(content)
    except (ValueError, RecursionError):
        return None
