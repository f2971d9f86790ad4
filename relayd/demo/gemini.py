"""The demo provider's Gemini dialect: generate, stream (SSE and JSON array), count and embed.

Requests may spell their fields in camelCase or snake_case, as the API's own JSON mapping allows.
"""

from __future__ import annotations

import base64
from typing import Any, Final

import orjson

from relayd.demo import prose, vectors
from relayd.demo.answer import Answer, Tool, Wish, answer, choices, new_id
from relayd.demo.failures import stream_error
from relayd.demo.fields import both, dict_of, dicts_of, limit_of, text_of
from relayd.demo.reply import JSON, Body, Plain, Streamed, event, json_reply

SIGNATURE: Final = base64.b64encode(b"demo signature of a thought " * 4).decode()


def generate(body: Body) -> Plain:
    """POST models/M:generateContent."""
    wish = wish_of(body)
    answers = choices(wish, _first(_config(body), "candidateCount"))
    return json_reply(_whole(wish, answers))


def stream(body: Body) -> Streamed:
    """POST models/M:streamGenerateContent with alt=sse."""
    values = _chunks(body)
    events = tuple(event(value) for value in values)
    return Streamed(events[:-1], events[-1:], stream_error("gemini"))


def stream_array(body: Body) -> Streamed:
    """The same as one JSON array, which is what the API sends without alt=sse.

    Nothing is behind its bracket: the SDK of before 2025 takes a line feed there for a fault.
    """
    values = [orjson.dumps(value) for value in _chunks(body)]
    pieces = [b"[" + values[0], *(b",\r\n" + value for value in values[1:])]
    pieces[-1] += b"]"
    error = stream_error("gemini").removeprefix(b"data: ").strip()
    return Streamed(tuple(pieces[:-1]), tuple(pieces[-1:]), b",\r\n" + error + b"]", JSON)


def count(body: Body) -> Plain:
    """POST models/M:countTokens."""
    inner = dict_of(body, *both("generateContentRequest")) or body
    total = wish_of(inner).input_tokens
    return json_reply({"totalTokens": total, "promptTokensDetails": [_text_share(total)]})


def embed(body: Body) -> Plain:
    """POST models/M:embedContent."""
    return json_reply({"embedding": {"values": _vector(body)},
                       "usageMetadata": {"promptTokenCount": prose.count_all(
                           dict_of(body, "content"))}})


def batch_embed(body: Body) -> Plain:
    """POST models/M:batchEmbedContents."""
    asked = dicts_of(body, "requests")
    return json_reply({"embeddings": [{"values": _vector(each)} for each in asked]})


def wish_of(body: Body) -> Wish:
    """What a request asks for; `model` is what the path says."""
    contents = dicts_of(body, "contents")
    if not contents and isinstance(body.get("contents"), dict):
        contents = [body["contents"]]
    config = _config(body)
    last = dicts_of(contents[-1], "parts") if contents else []
    calling = dict_of(dict_of(body, *both("toolConfig")), *both("functionCallingConfig"))
    thinking = dict_of(config, *both("thinkingConfig"))
    mode = calling.get("mode")
    names = _first(calling, "allowedFunctionNames")
    return Wish(
        model=str(body.get("model", "")),
        question=text_of(last),
        input_tokens=prose.count_all(
            dict_of(body, *both("systemInstruction")), contents, body.get("tools")),
        tools=tuple(_tools(body)),
        forced=(str(names[0]) if names else "") if mode == "ANY" else None,
        tools_off=mode == "NONE",
        answered=any(_first(part, "functionResponse") is not None for part in last),
        schema=_schema(config),
        thinks=_first(thinking, "includeThoughts") is True,
        output_tokens_max=limit_of(config, *both("maxOutputTokens")),
    )


def _config(body: Body) -> Body:
    return dict_of(body, *both("generationConfig"))


def _first(body: Body, name: str) -> Any:
    return next((body[form] for form in both(name) if form in body), None)


def _tools(body: Body) -> list[Tool]:
    declared = [one for tool in dicts_of(body, "tools")
                for one in dicts_of(tool, *both("functionDeclarations"))]
    return [Tool(one["name"], one.get("parameters") or _first(one, "parametersJsonSchema"))
            for one in declared if isinstance(one.get("name"), str)]


def _schema(config: Body) -> Any:
    if _first(config, "responseMimeType") != "application/json":
        return None
    found = dict_of(config, *both("responseJsonSchema", "responseSchema"))
    return found or {"type": "object"}


def _parts(found: Answer) -> list[dict[str, Any]]:
    """The parts of an answer, each as it is when it comes whole."""
    parts: list[dict[str, Any]] = []
    if found.reasoning:
        parts.append({"text": "".join(found.reasoning), "thought": True})
    if found.call is not None:
        parts.append({"functionCall": {"name": found.call.name, "args": found.call.value},
                      "thoughtSignature": SIGNATURE})
    else:
        parts.append({"text": "".join(found.text)})
    return parts


def _finish(found: Answer) -> str:
    return "MAX_TOKENS" if found.cut else "STOP"


def _text_share(tokens: int) -> dict[str, Any]:
    return {"modality": "TEXT", "tokenCount": tokens}


def _usage(wish: Wish, answers: list[Answer]) -> dict[str, Any]:
    """`candidatesTokenCount` leaves the thoughts out; the total has all three."""
    thoughts = sum(each.reasoning_tokens for each in answers)
    spoken = sum(each.output_tokens for each in answers) - thoughts
    usage = {
        "promptTokenCount": wish.input_tokens, "candidatesTokenCount": spoken,
        "totalTokenCount": wish.input_tokens + spoken + thoughts,
        "promptTokensDetails": [_text_share(wish.input_tokens)],
    }
    if thoughts:
        usage["thoughtsTokenCount"] = thoughts
    return usage


def _candidate(index: int, parts: list[dict[str, Any]], finish: str | None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": index}
    if finish is not None:
        candidate["finishReason"] = finish
    return candidate


def _whole(wish: Wish, answers: list[Answer]) -> dict[str, Any]:
    return {
        "candidates": [_candidate(i, _parts(each), _finish(each))
                       for i, each in enumerate(answers)],
        "usageMetadata": _usage(wish, answers),
        "modelVersion": wish.model, "responseId": new_id(""),
    }


def _chunks(body: Body) -> list[dict[str, Any]]:
    """The values of a stream; usage grows with them, and the last one has it all."""
    wish = wish_of(body)
    found = answer(wish)
    parts: list[dict[str, Any]] = [{"text": piece, "thought": True} for piece in found.reasoning]
    parts += [{"text": piece} for piece in found.text]
    if found.call is not None:
        parts += _parts(found)[-1:]
    common = {"modelVersion": wish.model, "responseId": new_id("")}
    chunks: list[dict[str, Any]] = []
    for number, part in enumerate(parts or [{"text": ""}], start=1):
        thoughts = min(number, found.reasoning_tokens)
        usage = _usage(wish, [Answer(found.reasoning[:thoughts],
                                     found.text[:number - thoughts], None, False)])
        chunks.append({"candidates": [_candidate(0, [part], None)], "usageMetadata": usage,
                       **common})
    chunks[-1]["candidates"][0]["finishReason"] = _finish(found)
    chunks[-1]["usageMetadata"] = _usage(wish, [found])
    return chunks


def _vector(body: Body) -> list[float]:
    size = limit_of(body, *both("outputDimensionality"))
    text = text_of(dicts_of(dict_of(body, "content"), "parts"))
    return vectors.vector(text, size or vectors.GEMINI_DIMENSIONS)
