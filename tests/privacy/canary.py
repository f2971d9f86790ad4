"""Canaries: text that stands where content and identity are, and the search for it in bytes.

Each has its place in its name, so that a finding says what leaked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

CONTENT = "zq7content-"
"""Content: it goes to the provider and nowhere else."""
IDENTITY = "zq7identity-"
"""Identity: it goes nowhere at all."""
MARKS = (CONTENT.encode(), IDENTITY.encode())
HEADERS = ("User-Agent", "Cookie", "X-Forwarded-For", "X-Session-Id", "Traceparent", "Baggage",
           "X-Stainless-OS", "Referer", "Origin", "X-Client-Request-Id", "Idempotency-Key",
           "OpenAI-Organization", "Accept-Language", "X-Title", "HTTP-Referer",
           "X-Zq7identity-name")


def found_in(data: bytes) -> list[str]:
    """The canaries in some bytes, each with what follows it."""
    found = set()
    for mark in MARKS:
        start = data.find(mark)
        while start >= 0:
            found.add(data[start:start + len(mark) + 20].decode("latin-1"))
            start = data.find(mark, start + 1)
    return sorted(found)


def found_below(*folders: Path) -> dict[str, list[str]]:
    """The canaries in the names and the bytes of every file under the folders."""
    found = {}
    for folder in folders:
        for path in [folder] if folder.is_file() else sorted(folder.rglob("*")):
            data = path.name.encode() + (path.read_bytes() if path.is_file() else b"")
            if canaries := found_in(data):
                found[str(path)] = canaries
    return found


def head(target: str, key: str, fields: Iterable[tuple[str, str]] = ()) -> str:
    """A request's head up to its last field, with an identity canary in each of `HEADERS`."""
    lines = [f"POST {target} HTTP/1.1", "Host: relay.test", f"Authorization: Bearer {key}",
             *(f"{name}: {IDENTITY}{name.lower()}" for name in HEADERS),
             *(f"{name}: {value}" for name, value in fields)]
    return "\r\n".join(lines) + "\r\n"


def request(target: str, key: str, body: bytes, kind: str = "application/json") -> bytes:
    """A whole request with canaries in its head."""
    fields = (("Content-Type", kind), ("Content-Length", str(len(body))))
    return head(target, key, fields).encode() + b"\r\n" + body


def chat(**more: Any) -> bytes:
    """A chat with canaries in its content, its tools, its identity fields and unknown fields."""
    return json.dumps({
        "model": "test-model", "user": f"{IDENTITY}user",
        "messages": [
            {"role": "system", "content": f"{CONTENT}system"},
            {"role": "user", "content": f"{CONTENT}prompt", "name": "someone"},
            {"role": "assistant", "content": None, "tool_calls": [
                {"id": "call_1", "type": "function", "function": {
                    "name": f"{CONTENT}tool", "arguments": f'{{"a":"{CONTENT}arguments"}}'}}]},
            {"role": "tool", "tool_call_id": "call_1", "content": f"{CONTENT}result"},
        ],
        "metadata": {f"{IDENTITY}key": f"{IDENTITY}value"},
        "safety_identifier": f"{IDENTITY}safety", f"{IDENTITY}unknown": f"{IDENTITY}unknown",
        **more,
    }).encode()


def messages(**more: Any) -> bytes:
    """The same in Anthropic's words."""
    return json.dumps({
        "model": "test-model", "max_tokens": 9, "system": f"{CONTENT}system",
        "messages": [{"role": "user", "content": [
            {"type": "text", "text": f"{CONTENT}prompt"}]}],
        "metadata": {"user_id": f"{IDENTITY}user"}, **more,
    }).encode()


def contents(**more: Any) -> bytes:
    """The same in Gemini's words."""
    return json.dumps({
        "contents": [{"role": "user", "parts": [
            {"text": f"{CONTENT}prompt"},
            {"inlineData": {"mimeType": "text/plain", "data": f"{CONTENT}data"}}]}],
        "labels": {"a": f"{IDENTITY}label"}, **more,
    }).encode()


def upload(size: int = 0) -> bytes:
    """A form with a file, both of which have canaries."""
    parts: Iterator[tuple[str, bytes]] = iter([
        ('name="model"', b"test-model"),
        ('name="prompt"', f"{CONTENT}prompt".encode()),
        (f'name="file"; filename="{IDENTITY}file.wav"',
         f"RIFF {CONTENT}upload".encode() + b"x" * size),
    ])
    return b"".join(
        f"--b\r\nContent-Disposition: form-data; {line}\r\n\r\n".encode() + value + b"\r\n"
        for line, value in parts) + b"--b--\r\n"
