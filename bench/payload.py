"""The bytes that are sent: requests of clients, answers of the upstream. Pure, the same each run.

Law: looks like the real thing (an OpenAI SDK's call, Claude Code's request, chat chunks with text
that a tokenizer has work with), because counting and canonical writing cost by content.
"""

from __future__ import annotations

import json
import random
import uuid
from typing import Any, Final

CHAT_PATH: Final = "/v1/chat/completions"
AGENT_PATH: Final = "/v1/messages?beta=true"
CHAT_MODEL: Final = "gpt-4o-mini"
AGENT_MODEL: Final = "claude-sonnet-4-5"
VARIANTS: Final = 8
"""Requests of one kind differ in length, so that no head repeats call after call."""
EVENTS_AROUND: Final = 4
"""Events of a chat stream besides its text: role, stop, usage, [DONE]."""
STAMP_DIGITS: Final = 20
AGENT_BYTES: Final = 80_000
BIG_BYTES: Final = 1_000_000
BIG_SHAPES: Final = ("text", "messages", "letters", "parts")
"""Prompts of 1 MB: one text, 1,000 messages, letters without a space, 20,000 tiny messages."""

_WORDS: Final = (
    "the request reads a file and writes what changed because every test in this folder depends "
    "on it while other parts of the program keep their state between calls so a short answer is "
    "better than none when nobody knows which version runs on which machine or who started it "
    "def return import class self None True value index buffer stream token latency connection "
    "configuration repository function branch commit review deployment certificate timeout"
).split()


def words(count: int, seed: int) -> list[str]:
    """`count` words, the same for the same seed."""
    roll = random.Random(seed)
    return [roll.choice(_WORDS) for _ in range(count)]


def text(size: int, seed: int) -> str:
    """Prose of exactly `size` characters, in lines as source code and tool output have them."""
    lines, row = [], words(size // 4 + 16, seed)
    for start in range(0, len(row), 12):
        lines.append(" ".join(row[start:start + 12]))
    return "\n".join(lines)[:size]


def _http(path: str, fields: list[tuple[str, str]], body: Any) -> bytes:
    raw = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    head = [f"POST {path} HTTP/1.1", "Host: relay.example"]
    head += [f"{name}: {value}" for name, value in fields]
    head += [f"Content-Length: {len(raw)}", "", ""]
    return "\r\n".join(head).encode() + raw


def chat_requests(
    key: str, *, stream: bool, events: int = 64, path: str = CHAT_PATH, model: str = CHAT_MODEL,
) -> list[bytes]:
    """Calls of about 300 bytes of body, as the OpenAI SDK for Python writes their heads."""
    fields = [
        ("Accept", "application/json"), ("Accept-Encoding", "gzip, deflate"),
        ("Connection", "keep-alive"), ("Content-Type", "application/json"),
        ("Authorization", f"Bearer {key}"), ("User-Agent", "OpenAI/Python 2.8.1"),
        ("X-Stainless-Lang", "python"), ("X-Stainless-Package-Version", "2.8.1"),
        ("X-Stainless-OS", "Linux"), ("X-Stainless-Arch", "x64"),
        ("X-Stainless-Runtime", "CPython"), ("X-Stainless-Runtime-Version", "3.11.7"),
        ("X-Stainless-Async", "false"), ("x-stainless-retry-count", "0"),
        ("x-stainless-read-timeout", "600"),
    ]
    requests = []
    for number in range(VARIANTS):
        body: dict[str, Any] = {
            "messages": [
                {"role": "system", "content": "You are a helpful assistant."},
                {"role": "user", "content": text(150 + number, number)},
            ],
            "model": model, "max_tokens": events, "temperature": 0.7,
        }
        if stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        requests.append(_http(path, fields, body))
    return requests


def _tool(number: int) -> dict[str, Any]:
    names = words(4, 100 + number)
    return {
        "name": f"Tool{number}", "description": text(2200, 200 + number),
        "input_schema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
            "properties": {
                f"{name}_{index}": {"type": "string", "description": text(90, 300 + index)}
                for index, name in enumerate(names)
            },
            "required": [f"{names[0]}_0"], "additionalProperties": False,
        },
    }


def _turns(size: int, seed: int) -> list[dict[str, Any]]:
    """A conversation of prompt, tool calls and their results, of about `size` characters."""
    turns: list[dict[str, Any]] = [{"role": "user", "content": [
        {"type": "text", "text": "<system-reminder>\n" + text(600, seed) + "\n</system-reminder>"},
        {"type": "text", "text": text(200, seed + 1)},
    ]}]
    for step in range(6):
        call = f"toolu_{seed:04d}{step:020d}"
        turns.append({"role": "assistant", "content": [
            {"type": "text", "text": text(160, seed + 10 + step)},
            {"type": "tool_use", "id": call, "name": f"Tool{step}",
             "input": {"path": f"src/part_{step}.py", "offset": step * 100, "limit": 2000}},
        ]})
        turns.append({"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": call, "content": text(size // 6, seed + step)},
        ]})
    turns[-1]["content"][0]["cache_control"] = {"type": "ephemeral"}
    return turns


def _agent_fields(key: str) -> list[tuple[str, str]]:
    return [
        ("Accept", "application/json"), ("Authorization", f"Bearer {key}"),
        ("Content-Type", "application/json"),
        ("User-Agent", "claude-cli/2.1.330 (external, cli)"),
        ("X-Claude-Code-Session-Id", str(uuid.UUID(int=7))),
        ("X-Stainless-Arch", "x64"), ("X-Stainless-Lang", "js"), ("X-Stainless-OS", "Linux"),
        ("X-Stainless-Package-Version", "0.128.0"), ("X-Stainless-Retry-Count", "0"),
        ("X-Stainless-Runtime", "node"), ("X-Stainless-Runtime-Version", "v26.12.1"),
        ("X-Stainless-Timeout", "600"),
        ("anthropic-beta", "claude-code-20250219,interleaved-thinking-2025-05-14"),
        ("anthropic-dangerous-direct-browser-access", "true"),
        ("anthropic-version", "2023-06-01"), ("x-app", "cli"), ("Connection", "keep-alive"),
        ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ]


def _agent_body(number: int) -> dict[str, Any]:
    once = {"type": "ephemeral"}
    body: dict[str, Any] = {
        "model": AGENT_MODEL, "messages": _turns(32_000, 1000 + number),
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.330;"},
            {"type": "text", "text": "You are an agent.", "cache_control": once},
            {"type": "text", "text": text(7000, 5), "cache_control": once},
        ],
        "tools": [_tool(index) for index in range(12)],
        "metadata": {"user_id": json.dumps({"device_id": "d" * 64, "session_id": "s" * 36})},
        "max_tokens": 32_000, "thinking": {"type": "adaptive"},
        "output_config": {"effort": "medium"}, "stream": True,
    }
    lacking = AGENT_BYTES - len(json.dumps(body, separators=(",", ":"))) + number
    body["system"][2]["text"] += " " + text(max(lacking, 1), 6).replace("\n", " ")
    return body


def agent_requests(key: str) -> list[bytes]:
    """Requests shaped like Claude Code's: system blocks, 12 tools, tool results; 80 KB each."""
    return [_http(AGENT_PATH, _agent_fields(key), _agent_body(n)) for n in range(VARIANTS)]


def agent_turns(key: str, seed: int, count: int) -> list[bytes]:
    """The same conversations one turn later; what is new of each is new, by seed and number."""
    fields = _agent_fields(key)
    bodies = [_agent_body(number) for number in range(VARIANTS)]
    requests = []
    for number in range(count):
        body = bodies[number % VARIANTS]
        said = f"{seed} {number} {text(400, 1_000_000 + seed * 1000 + number)}"
        call = f"toolu_{seed:08d}{number:016d}"
        messages = [*body["messages"], {"role": "assistant", "content": [
            {"type": "text", "text": said[:80]},
            {"type": "tool_use", "id": call, "name": "Tool1", "input": {"path": f"src/{number}"}},
        ]}, {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": call, "content": said},
        ]}]
        requests.append(_http(AGENT_PATH, fields, body | {"messages": messages}))
    return requests


def _big_contents(shape: str, mark: str) -> list[str]:
    if shape == "text":
        return [mark + text(BIG_BYTES, 21)]
    if shape == "messages":
        whole = text(BIG_BYTES, 22)
        return [mark + whole[at:at + 1000] for at in range(0, BIG_BYTES, 1000)]
    if shape == "letters":
        roll = random.Random(mark)
        return ["".join(roll.choices("abcdefghijklmnopqrstuvwxyz", k=BIG_BYTES))]
    return [f"{mark}{number} words" for number in range(BIG_BYTES // 45)]


def big_request(key: str, shape: str, seed: int) -> bytes:
    """A chat call with a prompt of about 1 MB, of one of the BIG_SHAPES; none is like another."""
    body = {"model": CHAT_MODEL, "max_tokens": 8, "messages": [
        {"role": "user", "content": said} for said in _big_contents(shape, f"{seed} ")]}
    return _http(CHAT_PATH, [("Content-Type", "application/json"),
                             ("Authorization", f"Bearer {key}")], body)


def chat_reply() -> bytes:
    """A chat completion of about 600 bytes."""
    return json.dumps({
        "id": "chatcmpl-CkT3bq5dGv0sXwY1", "object": "chat.completion", "created": 1764000000,
        "model": "gpt-4o-mini-2024-07-18", "choices": [{
            "index": 0, "logprobs": None, "finish_reason": "stop", "message": {
                "role": "assistant", "content": text(90, 4), "refusal": None, "annotations": []},
        }],
        "usage": {
            "prompt_tokens": 52, "completion_tokens": 18, "total_tokens": 70,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        },
        "service_tier": "default", "system_fingerprint": "fp_560af6e559",
    }, separators=(",", ":")).encode()


def chat_events(count: int) -> list[tuple[bytes, bytes]]:
    """A chat stream as (before the stamp, after it) pairs; only `[DONE]` has no place for one.

    The stamp goes where `system_fingerprint` is: it is ours to fill and every relay passes it on.
    """
    head = (b'data: {"id":"chatcmpl-CkT3bq5dGv0sXwY1","object":"chat.completion.chunk",'
            b'"created":1764000000,"model":"gpt-4o-mini-2024-07-18","service_tier":"default",'
            b'"system_fingerprint":"fp_')

    def choice(delta: bytes, finish: bytes) -> tuple[bytes, bytes]:
        return head, (b'","choices":[{"index":0,"delta":%s,"logprobs":null,"finish_reason":%s}],'
                      b'"usage":null,"obfuscation":"q3Vx0"}\n\n' % (delta, finish))

    events = [choice(b'{"role":"assistant","content":"","refusal":null}', b"null")]
    for word in words(count, 9):
        events.append(choice(b'{"content":" %s"}' % word.encode(), b"null"))
    events.append(choice(b"{}", b'"stop"'))
    events.append((head, b'","choices":[],"usage":{"prompt_tokens":52,"completion_tokens":%d,'
                   b'"total_tokens":%d},"obfuscation":""}\n\n' % (count, 52 + count)))
    events.append((b"data: [DONE]\n\n", b""))
    return events


def agent_reply() -> bytes:
    """An Anthropic stream of 24 events, as it arrives when the model is fast: all at once."""
    def event(kind: str, **fields: Any) -> bytes:
        data = json.dumps({"type": kind, **fields}, separators=(",", ":"))
        return f"event: {kind}\ndata: {data}\n\n".encode()

    usage = {"input_tokens": 3, "cache_creation_input_tokens": 412,
             "cache_read_input_tokens": 18_200, "output_tokens": 1}
    message: dict[str, Any] = {
        "id": "msg_01Ckt3bq5dGv0sXwY1", "type": "message", "role": "assistant",
        "model": "claude-sonnet-4-5-20250929", "content": [], "stop_reason": None,
        "stop_sequence": None, "usage": usage}
    parts = [
        event("message_start", message=message),
        event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        event("ping"),
    ]
    for word in words(18, 11):
        parts.append(event("content_block_delta", index=0,
                           delta={"type": "text_delta", "text": f" {word}"}))
    parts.append(event("content_block_stop", index=0))
    parts.append(event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None},
                       usage={**usage, "output_tokens": 20}))
    parts.append(event("message_stop"))
    return b"".join(parts)
