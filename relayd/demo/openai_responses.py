"""The demo provider's OpenAI dialect, part two: /responses, with its numbered events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from relayd.demo import prose
from relayd.demo.answer import Answer, Tool, Wish, answer, cached_tokens, new_id
from relayd.demo.fields import dict_of, dicts_of, limit_of, text_of
from relayd.demo.openai_chat import parts_of
from relayd.demo.reply import Body, Reply, Streamed, json_reply, typed
from relayd.ops.clock import unix_ms

EFFORTS: Final = ("low", "medium", "high", "xhigh")
Item = dict[str, Any]
EMPTIED: Final[dict[str, Item]] = {
    "reasoning": {"summary": []}, "function_call": {"arguments": ""}, "message": {"content": []},
}
"""What an item has not yet when it is added."""


def responses(body: Body) -> Reply:
    """POST /v1/responses."""
    wish = wish_of(body)
    found = answer(wish)
    items = _items(found)
    whole = _whole(body, wish, found, items)
    if body.get("stream") is not True:
        return json_reply(whole)
    numbers = iter(range(1 << 30))
    opening = {**whole, "status": "in_progress", "output": [], "usage": None,
               "incomplete_details": None, "completed_at": None}
    parts: list[dict[str, Any]] = [
        {"type": "response.created", "response": opening},
        {"type": "response.in_progress", "response": opening},
    ]
    for index, item in enumerate(items):
        parts += _item_events(found, item, index)
    events = tuple(typed({**part, "sequence_number": next(numbers)}) for part in parts)
    last = next(numbers)
    ending = typed({"type": f"response.{whole['status']}", "response": whole,
                    "sequence_number": last})
    return Streamed(events, (ending,), _failed(whole, last))


def wish_of(body: Body) -> Wish:
    """What a request asks for."""
    given = body.get("input")
    items = dicts_of(body, "input")
    last = items[-1] if items else {}
    choice = body.get("tool_choice")
    named = choice.get("name") if isinstance(choice, dict) else None
    return Wish(
        model=str(body.get("model", "")),
        question=given if isinstance(given, str) else text_of(last.get("content")),
        input_tokens=prose.count_all(body.get("instructions"), given, body.get("tools")),
        tools=tuple(Tool(t["name"], t.get("parameters")) for t in dicts_of(body, "tools")
                    if t.get("type") == "function" and isinstance(t.get("name"), str)),
        forced=named if isinstance(named, str) else "" if choice == "required" else None,
        tools_off=choice == "none",
        answered=str(last.get("type", "")).endswith("_call_output"),
        schema=_schema(dict_of(dict_of(body, "text"), "format")),
        thinks=dict_of(body, "reasoning").get("effort") in EFFORTS,
        output_tokens_max=limit_of(body, "max_output_tokens"),
    )


def _schema(wanted: Body) -> Any:
    if wanted.get("type") == "json_schema":
        return wanted.get("schema") or {}
    return {"type": "object"} if wanted.get("type") == "json_object" else None


def _items(found: Answer) -> list[Item]:
    """The output items, complete."""
    items: list[Item] = []
    if found.reasoning:
        items.append({"id": new_id("rs_"), "type": "reasoning", "content": [], "summary": [
            {"type": "summary_text", "text": "".join(found.reasoning)}]})
    status = "incomplete" if found.cut else "completed"
    if found.call is not None:
        items.append({"id": new_id("fc_"), "type": "function_call", "status": status,
                      "arguments": found.call.arguments, "call_id": new_id("call_"),
                      "name": found.call.name})
    else:
        items.append({"id": new_id("msg_"), "type": "message", "status": status,
                      "role": "assistant", "content": [_text_part("".join(found.text))]})
    return items


def _text_part(text: str) -> Item:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _whole(body: Body, wish: Wish, found: Answer, items: list[Item]) -> dict[str, Any]:
    now = unix_ms() // 1000
    text = dict_of(body, "text")
    return {
        "id": new_id("resp_"), "object": "response", "created_at": now,
        "status": "incomplete" if found.cut else "completed", "background": False,
        "completed_at": now, "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if found.cut else None,
        "instructions": body.get("instructions"),
        "max_output_tokens": wish.output_tokens_max, "max_tool_calls": None,
        "model": wish.model, "output": items,
        "parallel_tool_calls": body.get("parallel_tool_calls", True),
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None, **dict_of(body, "reasoning")},
        "safety_identifier": None, "service_tier": "default", "store": False,
        "temperature": body.get("temperature", 1.0),
        "text": {"format": {"type": "text"}, "verbosity": "medium", **text},
        "tool_choice": body.get("tool_choice", "auto"), "tools": dicts_of(body, "tools"),
        "top_logprobs": 0, "top_p": body.get("top_p", 1.0), "truncation": "disabled",
        "usage": _usage(wish.input_tokens, found), "user": None, "metadata": {},
    }


def _usage(input_tokens: int, found: Answer) -> dict[str, Any]:
    return {
        "input_tokens": input_tokens,
        "input_tokens_details": {"cached_tokens": cached_tokens(input_tokens)},
        "output_tokens": found.output_tokens,
        "output_tokens_details": {"reasoning_tokens": found.reasoning_tokens},
        "total_tokens": input_tokens + found.output_tokens,
    }


def _item_events(found: Answer, item: Item, index: int) -> Iterator[dict[str, Any]]:
    """Everything between an item's `added` and its `done`, those included."""
    place = {"item_id": item["id"], "output_index": index}
    kind = item["type"]
    started = {**item, **EMPTIED[kind]}
    if "status" in item:
        started["status"] = "in_progress"
    yield {"type": "response.output_item.added", "output_index": index, "item": started}
    if kind == "reasoning":
        yield from _reasoning_events(found, place)
    elif kind == "function_call":
        yield from _call_events(item, place)
    else:
        yield from _text_events(found, place)
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _reasoning_events(found: Answer, place: Item) -> Iterator[dict[str, Any]]:
    place = {**place, "summary_index": 0}
    text = "".join(found.reasoning)
    yield {"type": "response.reasoning_summary_part.added", **place,
           "part": {"type": "summary_text", "text": ""}}
    for piece in found.reasoning:
        yield {"type": "response.reasoning_summary_text.delta", **place, "delta": piece}
    yield {"type": "response.reasoning_summary_text.done", **place, "text": text}
    yield {"type": "response.reasoning_summary_part.done", **place,
           "part": {"type": "summary_text", "text": text}}


def _call_events(item: Item, place: Item) -> Iterator[dict[str, Any]]:
    for part in parts_of(item["arguments"]):
        yield {"type": "response.function_call_arguments.delta", **place, "delta": part}
    yield {"type": "response.function_call_arguments.done", **place,
           "arguments": item["arguments"], "name": item["name"]}


def _text_events(found: Answer, place: Item) -> Iterator[dict[str, Any]]:
    place = {**place, "content_index": 0}
    text = "".join(found.text)
    yield {"type": "response.content_part.added", **place, "part": _text_part("")}
    for piece in found.text:
        yield {"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []}
    yield {"type": "response.output_text.done", **place, "text": text, "logprobs": []}
    yield {"type": "response.content_part.done", **place, "part": _text_part(text)}


def _failed(whole: dict[str, Any], number: int) -> bytes:
    """How this API reports an error in a stream: `response.failed`, not `error` alone."""
    message = "The demo provider breaks off here, as this model name asks it to."
    failed = {**whole, "status": "failed", "output": [], "usage": None,
              "error": {"code": "server_error", "message": message}}
    return typed({"type": "response.failed", "response": failed, "sequence_number": number})
