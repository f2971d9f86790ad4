"""What `relayd audit-canary` sends: a request with marks for each endpoint and each way to fail.

Law: pure; bytes are made here and sent elsewhere. Marks of content stand wherever a body has text,
also in names and in what is base64; marks of identity in headers, in the query, in a file's name.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from relayd.core.canary import Mark

Manner = Literal["whole", "half", "leave", "socket"]
"""`half`: goes away with half of the body sent; `leave`: once the reply has begun; `socket`: over
WebSocket, `after` is a text message."""
Body = dict[str, Any]
JSON: Final = "application/json"
BOUNDARY: Final = "relaydcanary"
FORM: Final = f"multipart/form-data; boundary={BOUNDARY}"
LARGE_BYTES: Final = 1 << 40
"""What a request that is too large says it will send."""
LONG_CHARS: Final = 1_000_000
FAULTS: Final = ("demo-400", "demo-401", "demo-429", "demo-500", "demo-html", "demo-cut",
                 "demo-error")
"""Models of the demo provider that fail."""
ECHO: Final = "demo-echo"
SOCKET_KEY: Final = "cmVsYXlkIGNhbmFyeWtleQ=="
_CHAT, _MESSAGES = "/v1/chat/completions", "/v1/messages"
_AUDIO: Final = "/v1/audio/transcriptions"


@dataclass(frozen=True, slots=True)
class Play:
    """One request and how it is played. `failing`: it asks for a failure."""

    name: str
    raw: bytes = field(repr=False)
    manner: Manner = "whole"
    failing: bool = False
    after: str = field(default="", repr=False)


class Script:
    """Makes the plays of one run: for this host, key and mark."""

    def __init__(self, host: str, key: str, mark: Mark) -> None:
        self._host = host
        self._key = key
        self._mark = mark
        self._image = base64.b64encode(b"\x89PNG\r\n\x1a\n" + mark.text.encode()).decode()

    def plays(self, models: Sequence[str], *, demo: bool) -> Iterator[Play]:
        """Every play; `demo`: the demo provider is behind the relay, and fails on request."""
        for model in models:
            yield from self._endpoints(model)
            yield from self._leaving(model)
        yield from self._refused(models[0])
        for model in FAULTS if demo else ():
            yield from self._failing(model)

    # -- the parts of a request -----------------------------------------------------------------

    def _request(
        self, target: str, body: bytes, kind: str = JSON, *, key: str | None = None,
        length: int | None = None,
    ) -> bytes:
        who = self._mark.identity
        lines = (
            f"POST {target} HTTP/1.1", f"Host: {self._host}",
            f"Authorization: Bearer {self._key if key is None else key}",
            f"User-Agent: {who}/1.0", f"X-Forwarded-For: {who}", f"Cookie: {who}={who}",
            f"Referer: https://{who}.example/", f"X-Session-Id: {who}", f"X-{who}: {who}",
            f"Content-Type: {kind}",
            f"Content-Length: {len(body) if length is None else length}")
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    def _json(self, target: str, body: Body, *, escaped: bool = False) -> bytes:
        return self._request(target, json.dumps(body, ensure_ascii=escaped).encode())

    def _form(self, model: str, *, audio: bool, size: int = 0) -> bytes:
        mark = self._mark
        kind = "audio/wav" if audio else "image/png"
        data = f"RIFF {mark.text} ".encode() + mark.text.encode("utf-16-le") + b"\0" * size
        parts = (
            ('name="model"', "", model.encode()), ('name="prompt"', "", mark.text.encode()),
            (f'name="{"file" if audio else "image"}"; filename="{mark.identity}.bin"',
             f"\r\nContent-Type: {kind}", data))
        return b"".join(
            f"--{BOUNDARY}\r\nContent-Disposition: form-data; {name}{more}\r\n\r\n".encode()
            + value + b"\r\n" for name, more, value in parts) + f"--{BOUNDARY}--\r\n".encode()

    # -- bodies ---------------------------------------------------------------------------------

    def chat(self, model: str, **more: Any) -> Body:
        """A chat with marks in every place for text, and a tool's call and result."""
        mark = self._mark
        return {"model": model, "user": mark.identity, "messages": [
            {"role": "system", "content": mark.latin},
            {"role": "user", "content": [
                {"type": "text", "text": mark.han},
                {"type": "image_url", "image_url": {
                    "url": f"data:image/png;base64,{self._image}"}}]},
            {"role": "assistant", "content": None, "tool_calls": [
                {"id": "call_1", "type": "function", "function": {
                    "name": mark.latin, "arguments": json.dumps({"a": mark.text})}}]},
            {"role": "tool", "tool_call_id": "call_1", "content": mark.emoji},
            {"role": "user", "content": mark.text}],
            "stop": [mark.latin], "metadata": {"a": mark.identity}, mark.identity: mark.identity,
            **more}

    def responses(self, model: str, **more: Any) -> Body:
        """The same for /v1/responses."""
        mark = self._mark
        return {"model": model, "instructions": mark.latin, "input": [
            {"role": "user", "content": [{"type": "input_text", "text": mark.text}]}], **more}

    def messages(self, model: str, **more: Any) -> Body:
        """The same in Anthropic's words."""
        mark = self._mark
        return {"model": model, "max_tokens": 64, "system": mark.han,
                "metadata": {"user_id": mark.identity}, "messages": [
                    {"role": "user", "content": mark.text}], **more}

    def contents(self) -> Body:
        """The same in Gemini's words."""
        mark = self._mark
        return {"systemInstruction": {"parts": [{"text": mark.emoji}]},
                "contents": [{"role": "user", "parts": [
                    {"text": mark.text},
                    {"inlineData": {"mimeType": "image/png", "data": self._image}}]}]}

    # -- the plays ------------------------------------------------------------------------------

    def _endpoints(self, model: str) -> Iterator[Play]:
        text = self._mark.text
        for name, target, body in (
            ("chat", _CHAT, self.chat(model)),
            ("chat, streaming", _CHAT, self.chat(model, stream=True)),
            ("completions", "/v1/completions", {"model": model, "prompt": text}),
            ("completions, streaming", "/v1/completions",
             {"model": model, "prompt": text, "stream": True}),
            ("responses", "/v1/responses", self.responses(model)),
            ("responses, streaming", "/v1/responses", self.responses(model, stream=True)),
            ("embeddings", "/v1/embeddings", {"model": model, "input": [text, text]}),
            ("moderations", "/v1/moderations", {"model": model, "input": text}),
            ("images", "/v1/images/generations", {"model": model, "prompt": text}),
            ("speech", "/v1/audio/speech", {"model": model, "input": text, "voice": "alloy"}),
            ("rerank", "/v1/rerank", {"model": model, "query": text, "documents": [text]}),
            ("messages", _MESSAGES, self.messages(model)),
            ("messages, streaming", _MESSAGES, self.messages(model, stream=True)),
            ("count_tokens", f"{_MESSAGES}/count_tokens", {
                "model": model, "messages": [{"role": "user", "content": text}]}),
        ):
            yield Play(f"{name} ({model})", self._json(target, body))
        yield Play(f"chat, escaped ({model})",
                   self._json(_CHAT, self.chat(model), escaped=True))
        yield Play(f"chat, long ({model})", self._json(_CHAT, self.chat(
            model, messages=[{"role": "user", "content": text * (LONG_CHARS // len(text))}])))
        for verb in ("generateContent", "streamGenerateContent", "countTokens"):
            yield Play(f"{verb} ({model})", self._json(
                f"/v1beta/models/{model}:{verb}", self.contents()))
        content = {"parts": [{"text": text}]}
        for verb, asked in (
            ("embedContent", {"content": content}),
            ("batchEmbedContents", {"requests": [{"model": f"models/{model}",
                                                  "content": content}]}),
        ):
            yield Play(f"{verb} ({model})", self._json(f"/v1beta/models/{model}:{verb}", asked))
        yield Play(f"streamGenerateContent, events ({model})", self._json(
            f"/v1beta/models/{model}:streamGenerateContent?alt=sse", self.contents()))
        for name, target, audio in (
            ("transcription", _AUDIO, True), ("translation", "/v1/audio/translations", True),
            ("image edit", "/v1/images/edits", False),
        ):
            yield Play(f"{name} ({model})", self._request(
                target, self._form(model, audio=audio), FORM))
        yield Play(f"realtime ({model})", self._upgrade(model), "socket", after=json.dumps({
            "type": "conversation.item.create", "item": {
                "type": "message", "role": "user",
                "content": [{"type": "input_text", "text": text}]}}, ensure_ascii=False))

    def _upgrade(self, model: str) -> bytes:
        lines = (f"GET /v1/realtime?model={model} HTTP/1.1", f"Host: {self._host}",
                 f"Authorization: Bearer {self._key}", f"User-Agent: {self._mark.identity}",
                 "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                 f"Sec-WebSocket-Key: {SOCKET_KEY}")
        return "\r\n".join(lines).encode() + b"\r\n\r\n"

    def _leaving(self, model: str) -> Iterator[Play]:
        """Clients that go away: in an upload, in the middle of a reply."""
        form = self._request(_AUDIO, self._form(model, audio=True, size=LONG_CHARS), FORM)
        long = self._json(_CHAT, self.chat(model, messages=[
            {"role": "user", "content": self._mark.text * 2000}]))
        yield Play(f"upload left half-way ({model})", form, "half", True)
        yield Play(f"body left half-way ({model})", long, "half", True)
        for name, raw in (
            ("chat", self._json(_CHAT, self.chat(model, stream=True))),
            ("responses", self._json("/v1/responses", self.responses(model, stream=True))),
            ("messages", self._json(_MESSAGES, self.messages(model, stream=True))),
        ):
            yield Play(f"{name} left in the middle ({model})", raw, "leave", True)

    def _refused(self, model: str) -> Iterator[Play]:
        """What the relay itself refuses."""
        mark = self._mark
        chat = json.dumps(self.chat(model), ensure_ascii=False).encode()
        form = self._form(model, audio=True)
        for name, raw in (
            ("unknown key", self._request(_CHAT, chat, key=f"sk-relayd-{mark.identity}")),
            ("no key", self._request(_CHAT, chat, key="")),
            ("unknown path", self._request(f"/v1/{mark.identity}", chat)),
            ("a mark in the query", self._request(f"{_CHAT}?user={mark.identity}", chat)),
            ("unknown model", self._json(_CHAT, self.chat(mark.identity))),
            ("unknown model in the path", self._json(
                f"/v1beta/models/{mark.identity}:generateContent", self.contents())),
            ("broken JSON", self._request(_CHAT, chat[:-3])),
            ("JSON that is text", self._request(_CHAT, json.dumps(mark.text).encode())),
            ("bad UTF-8", self._request(_CHAT, chat[:-2] + b'\xff\xfe"}')),
            ("messages that are text", self._json(_CHAT, self.chat(model, messages=mark.text))),
            ("refused field", self._json("/v1/responses", self.responses(
                model, previous_response_id=mark.identity))),
            ("too large", self._request(_CHAT, chat, length=LARGE_BYTES)),
            ("broken form", self._request(_AUDIO, form[:-9], FORM)),
            ("form without boundary", self._request(_AUDIO, form, "multipart/form-data")),
            ("wrong coding", self._request(_CHAT, chat, f"{JSON}\r\nContent-Encoding: gzip")),
            ("bad header", f"POST {_CHAT} HTTP/1.1\r\n{mark.identity} x: y\r\n\r\n".encode()),
            ("no HTTP", f"{mark.identity} {mark.text}\r\n\r\n".encode()),
        ):
            yield Play(name, raw, failing=True)

    def _failing(self, model: str) -> Iterator[Play]:
        """The demo provider's failures, in each dialect, streaming and not."""
        asks: tuple[tuple[str, str, Callable[..., Body]], ...] = (
            ("chat", _CHAT, self.chat), ("responses", "/v1/responses", self.responses),
            ("messages", _MESSAGES, self.messages))
        for name, target, body in asks:
            yield Play(f"{name} ({model})", self._json(target, body(model)), failing=True)
            yield Play(f"{name}, streaming ({model})",
                       self._json(target, body(model, stream=True)), failing=True)
        for verb in ("generateContent", "streamGenerateContent"):
            yield Play(f"{verb} ({model})", self._json(
                f"/v1beta/models/{model}:{verb}", self.contents()), failing=True)
        yield Play(f"transcription ({model})", self._request(
            _AUDIO, self._form(model, audio=True), FORM), failing=True)
