"""The demo provider's Anthropic dialect: /v1/messages and its token counter."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any, Final

from relayd.demo import prose
from relayd.demo.answer import Answer, Tool, Wish, answer, new_id
from relayd.demo.failures import stream_error
from relayd.demo.fields import dict_of, dicts_of, limit_of, text_of
from relayd.demo.openai_chat import parts_of
from relayd.demo.reply import Body, Plain, Reply, Streamed, json_reply, typed

SIGNATURE: Final = base64.b64encode(b"demo signature of a thought " * 4).decode()
THINKING: Final = ("enabled", "adaptive")
Block = dict[str, Any]
EMPTIED: Final[dict[str, Block]] = {
    "thinking": {"thinking": "", "signature": ""}, "tool_use": {"input": {}}, "text": {"text": ""},
}
"""What a block has not yet when it starts."""


def messages(body: Body) -> Reply:
    """POST /v1/messages."""
    wish = wish_of(body)
    found = answer(wish)
    blocks = _blocks(found)
    usage = _usage(body, wish.input_tokens, found)
    message = {
        "id": new_id("msg_"), "type": "message", "role": "assistant", "model": wish.model,
        "content": blocks, "stop_reason": _stop_reason(found), "stop_sequence": None,
        "stop_details": None, "usage": usage,
    }
    if body.get("stream") is not True:
        return json_reply(message)
    return _stream(message, found)


def count_tokens(body: Body) -> Plain:
    """POST /v1/messages/count_tokens."""
    return json_reply({"input_tokens": wish_of(body).input_tokens})


def wish_of(body: Body) -> Wish:
    """What a request asks for."""
    turns = dicts_of(body, "messages")
    # agents put reminders of the system after the client's own words
    spoken = [turn for turn in turns if turn.get("role") != "system"]
    last = spoken[-1] if spoken else {}
    choice = dict_of(body, "tool_choice")
    kind = choice.get("type")
    name = choice.get("name")
    return Wish(
        model=str(body.get("model", "")), question=text_of(last.get("content")),
        input_tokens=prose.count_all(body.get("system"), turns, body.get("tools")),
        tools=tuple(Tool(t["name"], t["input_schema"]) for t in dicts_of(body, "tools")
                    if isinstance(t.get("name"), str) and "input_schema" in t),
        forced=str(name) if kind == "tool" else "" if kind == "any" else None,
        tools_off=kind == "none",
        answered=any(part.get("type") == "tool_result" for part in dicts_of(last, "content")),
        schema=_schema(body),
        thinks=dict_of(body, "thinking").get("type") in THINKING,
        output_tokens_max=limit_of(body, "max_tokens"),
    )


def _schema(body: Body) -> Any:
    wanted = dict_of(dict_of(body, "output_config"), "format") or dict_of(body, "output_format")
    return wanted.get("schema") or {} if wanted.get("type") == "json_schema" else None


def _blocks(found: Answer) -> list[Block]:
    blocks: list[Block] = []
    if found.reasoning:
        blocks.append({"type": "thinking", "thinking": "".join(found.reasoning),
                       "signature": SIGNATURE})
    if found.call is not None:
        blocks.append({"type": "tool_use", "id": new_id("toolu_"), "name": found.call.name,
                       "input": found.call.value})
    else:
        blocks.append({"type": "text", "text": "".join(found.text)})
    return blocks


def _stop_reason(found: Answer) -> str:
    return "tool_use" if found.call is not None else "max_tokens" if found.cut else "end_turn"


def _usage(body: Body, input_tokens: int, found: Answer) -> dict[str, Any]:
    """Input without what came from the cache, as Anthropic counts it.

    A request that marks something to be cached has half of its input read from there.
    """
    cached = input_tokens // 2 if any(_marks(body)) else 0
    usage: dict[str, Any] = {
        "input_tokens": input_tokens - cached, "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": found.output_tokens, "service_tier": "standard",
    }
    if found.reasoning:
        usage["output_tokens_details"] = {"thinking_tokens": found.reasoning_tokens}
    return usage


def _marks(body: Body) -> Iterator[bool]:
    yield "cache_control" in body
    for holder in (*dicts_of(body, "system"), *dicts_of(body, "tools")):
        yield "cache_control" in holder
    for turn in dicts_of(body, "messages"):
        for part in dicts_of(turn, "content"):
            yield "cache_control" in part


def _stream(message: dict[str, Any], found: Answer) -> Streamed:
    usage = message["usage"]
    opening = {**message, "content": [], "stop_reason": None, "usage": {
        **{k: v for k, v in usage.items() if k != "output_tokens_details"}, "output_tokens": 1}}
    events = [typed({"type": "message_start", "message": opening})]
    for index, block in enumerate(message["content"]):
        events += [typed(part) for part in _block_events(found, block, index)]
        if index == 0:
            events.insert(2, typed({"type": "ping"}))
    final = {k: v for k, v in usage.items() if k not in ("cache_creation", "service_tier")}
    end = (
        typed({"type": "message_delta", "usage": final, "delta": {
            "stop_reason": message["stop_reason"], "stop_sequence": None,
            "stop_details": None}}),
        typed({"type": "message_stop"}),
    )
    return Streamed(tuple(events), end, stream_error("anthropic"))


def _block_events(found: Answer, block: Block, index: int) -> Iterator[dict[str, Any]]:
    started = {**block, **EMPTIED[block["type"]]}
    yield {"type": "content_block_start", "index": index, "content_block": started}
    for delta in _deltas(found, block):
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


def _deltas(found: Answer, block: Block) -> Iterator[dict[str, Any]]:
    if block["type"] == "thinking":
        for piece in found.reasoning:
            yield {"type": "thinking_delta", "thinking": piece}
        yield {"type": "signature_delta", "signature": block["signature"]}
    elif found.call is not None:
        yield {"type": "input_json_delta", "partial_json": ""}
        for part in parts_of(found.call.arguments):
            yield {"type": "input_json_delta", "partial_json": part}
    else:
        for piece in found.text:
            yield {"type": "text_delta", "text": piece}
