"""An upstream that answers every endpoint plainly in its dialect; a stream where one is asked."""

from __future__ import annotations

import json
from typing import Any

from relayd.wire.dialect import Endpoint, target_of
from tests.fakes.rawhttp import Request
from tests.fakes.rawupstream import Answer, message

CHAT = {"id": "x", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"},
                     "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}
CHUNK = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m",
         "choices": [{"index": 0, "delta": {"role": "assistant", "content": "ok"},
                      "finish_reason": "stop"}]}
RESPONSE = {"id": "resp_1", "object": "response", "status": "completed", "model": "m",
            "output": [{"type": "message", "role": "assistant",
                        "content": [{"type": "output_text", "text": "ok"}]}],
            "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}}
MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m",
           "content": [{"type": "text", "text": "ok"}], "stop_reason": "end_turn",
           "usage": {"input_tokens": 3, "output_tokens": 2}}
CONTENT = {"candidates": [{"content": {"role": "model", "parts": [{"text": "ok"}]},
                           "finishReason": "STOP", "index": 0}],
           "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2,
                             "totalTokenCount": 5}}
EMBEDDING = {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
             "model": "m", "usage": {"prompt_tokens": 3, "total_tokens": 3}}

JSON: dict[str, Any] = {
    "chat": CHAT, "completions": {**CHAT, "object": "text_completion"}, "responses": RESPONSE,
    "embeddings": EMBEDDING, "messages": MESSAGE, "count_tokens": {"input_tokens": 3},
    "generate": CONTENT, "stream_generate": [CONTENT],
    "count": {"totalTokens": 3}, "batch_embed": {"embeddings": []},
    "embed": {"embedding": {"values": [0.5]}},
    "moderations": {"id": "m", "model": "m", "results": []}, "rerank": {"results": []},
    "image_generation": {"created": 1, "data": []}, "image_edit": {"created": 1, "data": []},
    "transcription": {"text": "ok"}, "translation": {"text": "ok"}, "speech": {},
}


def _events(*events: object, named: bool = False) -> bytes:
    lines = []
    for event in events:
        name = f"event: {event['type']}\n" if named and isinstance(event, dict) else ""
        text = event if isinstance(event, str) else json.dumps(event, separators=(",", ":"))
        lines.append(f"{name}data: {text}\n\n")
    return "".join(lines).encode()


STREAMS = {
    "chat": _events(CHUNK, {**CHUNK, "choices": [], "usage": CHAT["usage"]}, "[DONE]"),
    "completions": _events({**CHUNK, "object": "text_completion"}, "[DONE]"),
    "responses": _events({"type": "response.created", "response": {**RESPONSE, "usage": None}},
                         {"type": "response.completed", "response": RESPONSE}, named=True),
    "messages": _events(
        {"type": "message_start", "message": {**MESSAGE, "content": []}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0,
         "delta": {"type": "text_delta", "text": "ok"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"},
         "usage": {"output_tokens": 2}},
        {"type": "message_stop"}, named=True),
    "stream_generate": _events(CONTENT),
}


def endpoint_of(request: Request) -> Endpoint | None:
    """The endpoint that an upstream request is for."""
    path = request.target.decode("latin-1").partition("?")[0]
    return target_of(path, "openai").endpoint


def answer(request: Request) -> Answer:
    """What a provider would say to it."""
    endpoint = endpoint_of(request)
    if endpoint is None:
        return Answer(message(b'{"error":{"message":"no"}}', status=404))
    if endpoint.operation == "stream_generate" or b'"stream":true' in request.body:
        if b"alt=sse" not in request.target and endpoint.api == "gemini":
            return Answer(message(json.dumps(JSON["stream_generate"]).encode(), chunked=True))
        return Answer(message(STREAMS[endpoint.operation], "text/event-stream", chunked=True))
    if endpoint.operation == "speech":
        return Answer(message(b"\xff\xfb\x90", "audio/mpeg"))
    return Answer(message(json.dumps(JSON[endpoint.operation]).encode()))
