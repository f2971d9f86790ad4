"""The demo provider's OpenAI dialect, part one: /chat/completions and /completions.

Reasoning is shown as `reasoning_content`, as providers of this dialect that show it do.
"""

from __future__ import annotations

from typing import Any, Final

from relayd.demo import prose
from relayd.demo.answer import Answer, Tool, Wish, answer, cached_tokens, choices, new_id
from relayd.demo.failures import stream_error
from relayd.demo.fields import dict_of, dicts_of, limit_of, text_of
from relayd.demo.reply import DONE, Body, Plain, Reply, Streamed, event, json_reply
from relayd.ops.clock import unix_ms

FINGERPRINT: Final = "fp_demo"
ARGUMENT_CHARS: Final = 8


def chat(body: Body) -> Reply:
    """POST /v1/chat/completions."""
    wish = wish_of(body)
    answers = choices(wish, body.get("n"))
    base = {"id": new_id("chatcmpl-"), "created": unix_ms() // 1000, "model": wish.model,
            "service_tier": "default", "system_fingerprint": FINGERPRINT}
    usage = _usage(wish.input_tokens, answers)
    if body.get("stream") is True:
        return _chat_stream(base, answers, usage if _usage_wanted(body) else None)
    return json_reply({
        **base, "object": "chat.completion",
        "choices": [_choice(index, each) for index, each in enumerate(answers)],
        "usage": usage,
    })


def wish_of(body: Body) -> Wish:
    """What a chat request asks for."""
    messages = dicts_of(body, "messages")
    last = messages[-1] if messages else {}
    forced, off = _tool_choice(body.get("tool_choice"))
    return Wish(
        model=str(body.get("model", "")),
        question=text_of(last.get("content")),
        input_tokens=prose.count_all(messages, body.get("tools")),
        tools=tuple(_tools(body)), forced=forced, tools_off=off,
        answered=last.get("role") in ("tool", "function"),
        schema=_schema(dict_of(body, "response_format")),
        output_tokens_max=limit_of(body, "max_completion_tokens", "max_tokens"),
    )


def _tools(body: Body) -> list[Tool]:
    functions = [dict_of(tool, "function") for tool in dicts_of(body, "tools")]
    return [Tool(f["name"], f.get("parameters")) for f in functions
            if isinstance(f.get("name"), str)]


def _tool_choice(choice: Any) -> tuple[str | None, bool]:
    if isinstance(choice, dict):
        name = dict_of(choice, "function").get("name")
        return (name, False) if isinstance(name, str) else (None, False)
    return ("" if choice == "required" else None), choice == "none"


def _schema(wanted: Body) -> Any:
    if wanted.get("type") == "json_schema":
        return dict_of(wanted, "json_schema").get("schema") or {}
    return {"type": "object"} if wanted.get("type") == "json_object" else None


def _usage(input_tokens: int, answers: list[Answer]) -> dict[str, Any]:
    output = sum(each.output_tokens for each in answers)
    return {
        "prompt_tokens": input_tokens, "completion_tokens": output,
        "total_tokens": input_tokens + output,
        "prompt_tokens_details": {"cached_tokens": cached_tokens(input_tokens),
                                  "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": sum(each.reasoning_tokens for each in answers),
            "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0},
    }


def _usage_wanted(body: Body) -> bool:
    return dict_of(body, "stream_options").get("include_usage") is True


def _finish(each: Answer) -> str:
    return "tool_calls" if each.call is not None else "length" if each.cut else "stop"


def _choice(index: int, each: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant", "content": "".join(each.text) if each.call is None else None,
        "refusal": None, "annotations": [],
    }
    if each.reasoning:
        message["reasoning_content"] = "".join(each.reasoning)
    if each.call is not None:
        message["tool_calls"] = [{
            "id": new_id("call_"), "type": "function",
            "function": {"name": each.call.name, "arguments": each.call.arguments}}]
    return {"index": index, "message": message, "logprobs": None,
            "finish_reason": _finish(each)}


def _deltas(each: Answer) -> list[dict[str, Any]]:
    """The role first, then reasoning, then text or the call with its arguments in parts."""
    deltas: list[dict[str, Any]] = [
        {"role": "assistant", "content": "" if each.call is None else None, "refusal": None}]
    deltas += [{"reasoning_content": piece} for piece in each.reasoning]
    deltas += [{"content": piece} for piece in each.text]
    if each.call is not None:
        deltas.append({"tool_calls": [{
            "index": 0, "id": new_id("call_"), "type": "function",
            "function": {"name": each.call.name, "arguments": ""}}]})
        deltas += [{"tool_calls": [{"index": 0, "function": {"arguments": part}}]}
                   for part in parts_of(each.call.arguments)]
    return deltas


def parts_of(arguments: str) -> list[str]:
    """A call's arguments in the parts in which they are streamed."""
    return [arguments[at:at + ARGUMENT_CHARS] for at in range(0, len(arguments), ARGUMENT_CHARS)]


def _chat_stream(
    base: dict[str, Any], answers: list[Answer], usage: dict[str, Any] | None,
) -> Streamed:
    base = {**base, "object": "chat.completion.chunk"}
    if usage is not None:
        base["usage"] = None

    def chunk(index: int, delta: dict[str, Any], finish: str | None = None) -> bytes:
        return event({**base, "choices": [{"index": index, "delta": delta, "logprobs": None,
                                           "finish_reason": finish}]})

    # the choices of one request come interleaved, as providers send them
    tracks = [_deltas(each) for each in answers]
    events = [chunk(index, track[step]) for step in range(max(map(len, tracks)))
              for index, track in enumerate(tracks) if step < len(track)]
    end = [chunk(index, {}, _finish(each)) for index, each in enumerate(answers)]
    if usage is not None:
        end.append(event({**base, "choices": [], "usage": usage}))
    return Streamed(tuple(events), (*end, DONE), stream_error("openai"))


def completions(body: Body) -> Reply:
    """POST /v1/completions, the older one: a prompt, several, or tokens."""
    prompt = body.get("prompt")
    prompts = prompt if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int) \
        else [prompt]
    most = limit_of(body, "max_tokens")
    model = str(body.get("model", ""))
    answers: list[Answer] = []
    total = 0
    for each in prompts:
        tokens = len(each) if isinstance(each, list) else prose.count_all(each)
        wish = Wish(model, text_of(each), tokens, output_tokens_max=most)
        total += tokens
        answers += choices(wish, body.get("n")) or [answer(wish)]
    base = {"id": new_id("cmpl-"), "object": "text_completion", "created": unix_ms() // 1000,
            "model": model}
    usage = {"prompt_tokens": total,
             "completion_tokens": sum(len(each.text) for each in answers),
             "total_tokens": total + sum(len(each.text) for each in answers)}
    return _completion(base, answers, usage, body)


def _completion(
    base: dict[str, Any], answers: list[Answer], usage: dict[str, Any], body: Body,
) -> Plain | Streamed:
    def choice(index: int, text: str, finish: str | None) -> dict[str, Any]:
        return {"text": text, "index": index, "logprobs": None, "finish_reason": finish}

    if body.get("stream") is not True:
        return json_reply({**base, "usage": usage, "choices": [
            choice(i, "".join(each.text), _finish(each)) for i, each in enumerate(answers)]})
    events = [event({**base, "choices": [choice(index, piece, None)]})
              for index, each in enumerate(answers) for piece in each.text]
    end = [event({**base, "choices": [choice(index, "", _finish(each))]})
           for index, each in enumerate(answers)]
    if _usage_wanted(body):
        end.append(event({**base, "choices": [], "usage": usage}))
    return Streamed(tuple(events), (*end, DONE), stream_error("openai"))
