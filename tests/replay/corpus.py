"""The recorded exchanges of the shared corpus, as requests to the relay and raw replies to it."""

from __future__ import annotations

import base64
import json
import random
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from relayd.wire.dialect import BY_OPERATION, Endpoint
from tests.wire.test_corpus import OPERATIONS

FRAMING = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive", "date"})
USAGE_ON_REQUEST = frozenset({"chat", "completions"})
"""Operations whose usage event is withheld where the client did not ask for it."""
CHUNK_BYTES_MAX = 3000
MODEL = "some-model"
"""Stands where a recording names no model: those of Azure have it in their path."""


@dataclass(frozen=True)
class Recording:
    """One folder of the corpus."""

    folder: Path

    @property
    def name(self) -> str:
        """The case's id."""
        return self.folder.name

    @cached_property
    def expected(self) -> dict[str, Any]:
        """The facts to check against."""
        value: dict[str, Any] = json.loads((self.folder / "expected.json").read_text())
        return value

    @cached_property
    def reply(self) -> dict[str, Any]:
        """Status and fields of the reply."""
        value: dict[str, Any] = json.loads((self.folder / "response.json").read_text())
        return value

    @cached_property
    def body(self) -> bytes:
        """The reply's body."""
        return (self.folder / "response.raw").read_bytes()

    @property
    def status(self) -> int:
        """The reply's status."""
        status: int = self.reply["status"]
        return status

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint that serves it."""
        return BY_OPERATION[OPERATIONS[self.expected["api"]]]

    def request(self, key: str) -> bytes:
        """The recorded request, as a client of the relay sends it."""
        recorded = json.loads((self.folder / "request.json").read_text())
        if "body_base64" in recorded:
            kind = {k.lower(): v for k, v in recorded["headers"].items()}["content-type"]
            return self._head(key, kind, base64.b64decode(recorded["body_base64"]))
        body = dict(recorded["body"])
        if self.endpoint.api != "gemini":
            body.setdefault("model", self.expected["model_requested"] or MODEL)
        if body.get("stream") and self.endpoint.operation in USAGE_ON_REQUEST:
            body["stream_options"] = {"include_usage": True}
        return self._head(key, "application/json", json.dumps(body).encode())

    def plain_request(self, key: str) -> bytes:
        """A request of the same kind, for a recording whose own the relay refuses."""
        if self.endpoint.body == "multipart":
            return self._head(key, "multipart/form-data; boundary=b", UPLOAD)
        body = dict(PLAIN[self.endpoint.operation])
        if self.expected["stream"] and self.endpoint.streams == "field":
            body["stream"] = True
            if self.endpoint.operation in USAGE_ON_REQUEST:
                body["stream_options"] = {"include_usage": True}
        return self._head(key, "application/json", json.dumps(body).encode())

    def _head(self, key: str, kind: str, body: bytes) -> bytes:
        model = (self.expected["model_requested"] or MODEL).rpartition("/")[2]
        path = self.endpoint.path.replace("{model}", model)
        if ":stream" in path and self.body[:1] not in b"[":
            path += "?alt=sse"
        fields = f"Host: relay.test\r\nAuthorization: Bearer {key}\r\nContent-Type: {kind}\r\n"
        head = f"POST {path} HTTP/1.1\r\n{fields}Content-Length: {len(body)}\r\n\r\n"
        return head.encode("latin-1") + body

    def raw_reply(self) -> bytes:
        """The recorded reply in chunks of random sizes, the same ones each time."""
        dice = random.Random(self.name)
        fields = "".join(f"{name}: {value}\r\n" for name, value in self.reply["headers"].items()
                         if name.lower() not in FRAMING)
        head = f"HTTP/1.1 {self.status} Status\r\n{fields}Transfer-Encoding: chunked\r\n\r\n"
        pieces = [head.encode("latin-1")]
        start = 0
        while start < len(self.body):
            piece = self.body[start:start + dice.randint(1, CHUNK_BYTES_MAX)]
            pieces.append(b"%x\r\n%b\r\n" % (len(piece), piece))
            start += len(piece)
        return b"".join([*pieces, b"0\r\n\r\n"])


UPLOAD = (b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nsome-model\r\n'
          b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\nabc\r\n'
          b'--b--\r\n')
CHAT: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
PLAIN: dict[str, dict[str, Any]] = {
    "chat": CHAT,
    "completions": {"model": MODEL, "prompt": "hi"},
    "responses": {"model": MODEL, "input": "hi"},
    "embeddings": {"model": MODEL, "input": "hi"},
    "messages": {**CHAT, "max_tokens": 9},
    "count_tokens": CHAT,
    "generate": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
    "stream_generate": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
}


def recordings(root: Path) -> list[Recording]:
    """The recordings that an endpoint of the relay serves, errors included."""
    every = [Recording(folder) for folder in sorted(root.iterdir())]
    return [one for one in every if one.expected["api"] in OPERATIONS]
