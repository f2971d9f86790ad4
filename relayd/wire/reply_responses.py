"""OpenAI responses: replies, and events of their streams.

An event names itself in `type`; the last one carries the whole reply again, of which only usage
and status are read. A reply has no `type` and holds its text in `output`. Images that a tool made
and searches of the web stand in no usage, so they are counted.
"""

from __future__ import annotations

from contextlib import suppress
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
from relayd.wire.usage import count_of
from relayd.wire.usage_typed import OpenaiReport

_IMAGE: Final = b'"image_generation_call"'
_SEARCH: Final = b'"web_search_call"'
_DONE: Final = "response.output_item.done"
_DRAWN: Final = "response.image_generation_call.completed"
LAST: Final = ("response.completed", "response.incomplete", "response.failed")
"""The events of which one is a stream's last."""
DELTAS: Final = {
    "response.output_text.delta": CONTENT,
    "response.refusal.delta": CONTENT,
    "response.reasoning_text.delta": REASONING,
    "response.reasoning_summary_text.delta": REASONING,
    "response.function_call_arguments.delta": ARGUMENTS,
    "response.custom_tool_call_input.delta": ARGUMENTS,
    "response.mcp_call_arguments.delta": ARGUMENTS,
    "response.code_interpreter_call_code.delta": ARGUMENTS,
    "response.shell_call_command.delta": ARGUMENTS,
    "response.apply_patch_call_operation_diff.delta": ARGUMENTS,
    "response.audio.transcript.delta": CONTENT,
}
"""Events that bring text, and its kind."""
_WHOLE: Final = ("local_shell_call", "program")
"""Items whose text comes with their end alone."""
_PARTS: Final = {"message": CONTENT, "reasoning": REASONING}


class _Summary(msgspec.Struct, gc=False):
    """What the events that open and close a stream say of the reply."""

    status: Any = None
    usage: Any = None
    error: Any = None


class _Item(msgspec.Struct, gc=False):
    type: str | None = None
    name: Any = None
    arguments: Any = None
    input: Any = None
    code: Any = None
    action: Any = None
    operation: Any = None
    content: Any = None
    summary: Any = None


class _Lean(_Summary, gc=False):
    type: Any = None
    response: _Summary | None = None


class _Full(_Lean, gc=False):
    type: str | None = None
    delta: Any = None
    output_index: Any = None
    content_index: Any = None
    summary_index: Any = None
    command_index: Any = None
    item: _Item | None = None
    output: list[_Item] | None = None


class _UsualSummary(_Summary, gc=False):
    usage: OpenaiReport | None = None


class _UsualLean(_Lean, gc=False):
    usage: OpenaiReport | None = None
    response: _UsualSummary | None = None


class _UsualFull(_Full, gc=False):
    usage: OpenaiReport | None = None
    response: _UsualSummary | None = None


class _Made(msgspec.Struct, gc=False):
    type: Any = None
    status: Any = None
    action: Any = None


class _Told(msgspec.Struct, gc=False):
    tool_usage: Any = None


class _Reply(_Told, gc=False):
    output: list[_Made] = []


class _Last(msgspec.Struct, gc=False):
    response: _Told


class _ItemDone(msgspec.Struct, gc=False):
    item: _Made


_LEAN: Final = msgspec.json.Decoder(_Lean)
_FULL: Final = msgspec.json.Decoder(_Full)
_USUAL_LEAN: Final = msgspec.json.Decoder(_UsualLean)
_USUAL_FULL: Final = msgspec.json.Decoder(_UsualFull)
_REPLY: Final = msgspec.json.Decoder(_Reply)
_CLOSING: Final = msgspec.json.Decoder(_Last)
_ITEM: Final = msgspec.json.Decoder(_ItemDone)


def read_responses(data: bytes, found: Findings) -> bool:
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
    if event.response is not None:
        _summary(event.response, found)
        if event.type in LAST:
            _end(data, found)
    elif event.type is None:
        _summary(event, found)
        _count(data, found)
    elif event.type == "error":
        _summary(event, found)
        found.fail()
    else:
        _tool(event.type, data, found)
    return False


def _count(data: bytes, found: Findings) -> None:
    """Counts what tools did for this reply: images made, searches."""
    if _IMAGE not in data and _SEARCH not in data:
        return
    try:
        reply = _REPLY.decode(data)
    except (ValueError, RecursionError):
        return
    found.images += sum(
        item.type == "image_generation_call" and item.status != "failed" for item in reply.output)
    found.searches += sum(map(_is_search, reply.output))
    _bill(reply, found)


def _end(data: bytes, found: Findings) -> None:
    """The last event of a stream. What it repeats of the reply is not read but for one figure."""
    found.ended = True
    if found.searches:
        with suppress(ValueError, RecursionError):
            _bill(_CLOSING.decode(data).response, found)


def _bill(reply: _Told, found: Findings) -> None:
    """OpenAI says itself how many of a reply's searches it bills."""
    billed = count_of(_member(_member(reply.tool_usage, "web_search"), "num_requests"))
    if found.searches and billed is not None:
        found.searches = billed


def _tool(name: object, data: bytes, found: Findings) -> None:
    """The same for an event that says that a tool has done its work."""
    if name == _DRAWN:
        found.images += 1
    elif name == _DONE and _SEARCH in data:
        with suppress(ValueError, RecursionError):
            found.searches += _is_search(_ITEM.decode(data).item)


def _is_search(item: _Made) -> bool:
    """Opening a page that a search found, and looking for words in it, cost nothing."""
    return (item.type == "web_search_call" and item.status != "failed"
            and _member(item.action, "type") in (None, "search"))


def _summary(summary: _Summary, found: Findings) -> None:
    found.report(summary.usage)
    if summary.error or summary.status == "failed":
        found.fail()


def _text(event: _Full, found: Findings) -> None:
    if event.delta is not None:
        kind = DELTAS.get(event.type or "")
        if kind is not None:
            part = event.content_index or event.summary_index or event.command_index
            found.text(event.delta, kind, event.output_index, part)
    elif event.item is not None:
        if event.type == "response.output_item.added":
            found.text(event.item.name, NAME, event.output_index)
        elif event.type == _DONE and event.item.type in _WHOLE:
            _item(event.item, event.output_index, found)
    elif event.output is not None:
        for index, item in enumerate(event.output):
            _item(item, index, found)


def _item(item: _Item, index: Any, found: Findings) -> None:
    """An item of a reply's output."""
    kind = _PARTS.get(item.type or "")
    if kind is not None:
        _parts(item.summary, kind, index, found)
        _parts(item.content, kind, index, found)
        return
    found.text(item.name, NAME, index)
    for value in (item.arguments, item.input, item.code, _member(item.operation, "diff")):
        found.text(text_of(value), ARGUMENTS, index)
    commands = _member(item.action, "commands") or _member(item.action, "command")
    for place, command in enumerate(commands if isinstance(commands, list) else ()):
        found.text(command, ARGUMENTS, index, place)


def _member(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, dict) else None


def _parts(parts: object, kind: int, index: Any, found: Findings) -> None:
    if not isinstance(parts, list):
        return
    for place, part in enumerate(parts):
        if isinstance(part, dict):
            found.text(part.get("text"), kind, index, place)
            found.text(part.get("refusal"), kind, index, place)
