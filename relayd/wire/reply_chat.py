"""OpenAI chat and completions, as all who speak them do: replies, and events of their streams.

A reply and an event have one shape: a choice has a `message` or a `delta` (chat), or `text`.
Together gives `text` beside the delta, the same again.
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
from relayd.wire.usage_typed import OpenaiReport


_FAILURES: Final = ("error", "insufficient_system_resource", "network_error", "abort")
"""Finish reasons of an answer that the provider has not ended: Mistral's, DeepSeek's, Zhipu's
("the model's inference failed"), vLLM's and SGLang's. Nobody but the server aborts a call that
the relay still reads."""


class _LeanChoice(msgspec.Struct, gc=False):
    finish_reason: Any = None
    usage: Any = None  # Moonshot
    error: Any = None  # OpenRouter


class _Function(msgspec.Struct, gc=False):
    name: Any = None
    arguments: Any = None
    input: Any = None


class _ToolCall(msgspec.Struct, gc=False):
    index: Any = None
    function: _Function | None = None
    custom: _Function | None = None


class _Audio(msgspec.Struct, gc=False):
    transcript: Any = None
    data: Any = None


class _Message(msgspec.Struct, gc=False):
    content: Any = None
    reasoning_content: Any = None  # DeepSeek and others
    reasoning: Any = None  # OpenRouter, Groq, vLLM
    refusal: Any = None
    tool_calls: list[_ToolCall] | None = None
    function_call: _Function | None = None
    audio: _Audio | None = None


class _Choice(_LeanChoice, gc=False):
    index: Any = None
    delta: _Message | None = None
    message: _Message | None = None
    text: Any = None


class _Groq(msgspec.Struct, gc=False):
    usage: Any = None
    error: Any = None


class _Named(msgspec.Struct, gc=False):
    object: Any = None


class _Lean(msgspec.Struct, gc=False):
    choices: list[_LeanChoice] | None = None
    usage: Any = None
    x_groq: _Groq | None = None
    error: Any = None
    base_resp: Any = None  # MiniMax
    moderation: Any = None


class _Full(_Lean, gc=False):
    choices: list[_Choice] | None = None  # type: ignore[assignment]


class _UsualLean(_Lean, gc=False):
    usage: OpenaiReport | None = None


class _UsualFull(_Full, gc=False):
    usage: OpenaiReport | None = None


_LEAN: Final = msgspec.json.Decoder(_Lean)
_FULL: Final = msgspec.json.Decoder(_Full)
_USUAL_LEAN: Final = msgspec.json.Decoder(_UsualLean)
_USUAL_FULL: Final = msgspec.json.Decoder(_UsualFull)
_NAMED: Final = msgspec.json.Decoder(_Named)


def read_chat(data: bytes, found: Findings) -> bool:
    """Reads a reply or an event. True for the event that only reports usage (empty `choices`)."""
    event: _Lean | None
    try:
        event = _USUAL_LEAN.decode(data) if found.sink is None else _USUAL_FULL.decode(data)
    except (ValueError, RecursionError) as error:
        event = decode_odd(error, data, found, _FULL, _LEAN)
    if event is None:
        return False
    for choice in event.choices or ():
        if choice.finish_reason:  # some write an empty one in every event
            _finish(choice.finish_reason, found)
        if choice.usage is not None or choice.error:
            _rare_choice(choice, found)
        if type(choice) is _Choice:
            _text(choice, found)
    if (event.x_groq is not None or event.error is not None or event.base_resp is not None
            or event.choices is None):
        _rare(event, data, found)
    usage = event.usage
    if usage is None:
        return False
    found.report(usage)
    return (event.choices == [] and isinstance(usage, (OpenaiReport, dict))
            and event.moderation is None and not _failed(event))


def _finish(reason: object, found: Findings) -> None:
    found.ended = True
    if reason in _FAILURES:
        found.fail()


def _text(choice: _Choice, found: Findings) -> None:
    # Perplexity's events have a message beside the delta, all so far; its replies an empty delta
    message = choice.message if found.whole else choice.delta
    if message is None:
        found.text(choice.text, CONTENT, choice.index)
        return
    if message.content:
        if type(message.content) is str:
            found.text(message.content, CONTENT, choice.index)
        else:
            _parts(message.content, choice.index, found)
    reasoning = message.reasoning_content or message.reasoning
    if reasoning:
        found.text(reasoning, REASONING, choice.index)
    if message.tool_calls:
        for call in message.tool_calls:
            _call(call.function or call.custom, choice.index, call.index, found)
    if message.refusal:
        found.text(message.refusal, CONTENT, choice.index)
    if message.function_call is not None:
        _call(message.function_call, choice.index, 0, found)
    if message.audio is not None:
        _spoken(message.audio, choice.index, found)


def _spoken(audio: _Audio, choice: object, found: Findings) -> None:
    found.text(audio.transcript, CONTENT, choice)
    if audio.data and not found.whole:  # a whole reply has its usage with it
        found.hear(audio.data)


def _call(function: _Function | None, choice: object, tool: object, found: Findings) -> None:
    if function is not None:
        found.text(function.name, NAME, choice, tool)
        arguments = function.input if function.arguments is None else function.arguments
        found.text(text_of(arguments), ARGUMENTS, choice, tool)


def _parts(content: object, index: object, found: Findings, kind: int = CONTENT) -> None:
    """Mistral: content as a list of parts, of which some hold thinking, a list of parts itself."""
    if not isinstance(content, list):
        return
    for part in content:
        if isinstance(part, dict):
            found.text(part.get("text"), kind, index)
            if kind == CONTENT:
                _parts(part.get("thinking"), index, found, REASONING)


def _rare_choice(choice: _LeanChoice, found: Findings) -> None:
    if choice.usage is not None:
        found.report(choice.usage)
    if choice.error:
        found.fail()


def _rare(event: _Lean, data: bytes, found: Findings) -> None:
    groq = event.x_groq
    if groq is not None:
        found.report(groq.usage)
    if _failed(event) or (groq is not None and groq.error):
        found.fail()
    elif event.choices is None and _is_error(data):
        found.fail()


def _failed(event: _Lean) -> bool:
    base = event.base_resp
    return bool(event.error or isinstance(base, dict) and base.get("status_code"))


def _is_error(data: bytes) -> bool:
    """An error that is no member of its event, but the event itself (FastChat, older vLLM)."""
    try:
        return bool(_NAMED.decode(data).object == "error")
    except (ValueError, RecursionError):
        return False
