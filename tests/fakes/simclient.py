"""Clients of a simulated relay: what they ask and how, when they leave, what they get."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from random import Random

from relayd.core.provider import Api
from tests.fakes.rawhttp import Garbage, Reply, Truncated, read_reply
from tests.fakes.simnet import Clock, Peer
from tests.fakes.simprovider import Ask

PATIENCE_SECONDS = 1_000.0
PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}


@dataclass
class Call(Ask):
    """One request of a client, and what came of it. `left`: its client may have been gone before
    the end; `head_at`: when its reply's head had come."""

    client: int = 0
    upload: bool = False
    raw: bytes = b""
    left: bool = False
    reply: Reply | None = None
    head_at: float = 0.0

    @property
    def id(self) -> str:
        """Of its record; empty where it got no head."""
        return "" if self.reply is None else self.reply.value(b"x-request-id").decode()


@dataclass
class Client:
    """One connection, with some calls on it."""

    number: int
    key: str
    dice: Random
    clock: Clock
    calls: list[Call]
    faults: list[str] = field(default_factory=list)

    @property
    def secret(self) -> str:
        """What no provider may see."""
        return f"secret-client-{self.number}"

    async def run(self, peer: Peer) -> None:
        """All of its calls, or until it or the relay has had enough."""
        dice, loop = self.dice, asyncio.get_running_loop()
        peer.slow = dice.choice((0.0, 0.0, 0.0, 0.1, 1.0))
        if dice.random() < 0.35:
            loop.call_later(dice.random() ** 2 * 8, self._leave, peer)
        ahead = dice.choice((1, 1, 1, 2, 4))
        waiting: list[Call] = []
        try:
            for call in [*self.calls, None]:
                while waiting and (call is None or len(waiting) >= ahead):
                    if not await self._read(peer, waiting.pop(0)):
                        return
                if call is not None:
                    await self._send(peer, call)
                    waiting.append(call)
        finally:
            peer.close()

    async def _send(self, peer: Peer, call: Call) -> None:
        dice = self.dice
        if dice.random() < 0.3:
            await asyncio.sleep(dice.random() ** 3 * 30)
        raw = call.raw
        if dice.random() < 0.7:
            await peer.send(raw)
        else:
            places = sorted(dice.randrange(len(raw)) for _ in range(dice.randint(1, 4)))
            for start, end in zip([0, *places], [*places, len(raw)], strict=True):
                await peer.send(raw[start:end])
                await asyncio.sleep(dice.random() ** 6 * 12)

    async def _read(self, peer: Peer, call: Call) -> bool:
        """The reply to a call; False where the connection is of no more use."""
        try:
            while True:
                reply = await self._reply(peer, call)
                if reply is None:
                    return False
                if reply.status >= 200:
                    call.reply = reply
                    return reply.ended == "complete" and not reply.closes
        except (Garbage, Truncated, ConnectionError) as error:
            if isinstance(error, Garbage) and not (call.left or peer.lost):
                self.faults.append(f"{call.tag!r}: its client got no HTTP: {error}")
        except TimeoutError:
            self.faults.append(f"{call.tag!r}: its client waits for ever")
        return False

    async def _reply(self, peer: Peer, call: Call) -> Reply | None:
        while not (peer.reader._buffer or peer.reader.at_eof()):  # type: ignore[attr-defined]
            if peer.lost:
                raise ConnectionResetError
            await peer.reader._wait_for_data("reply")  # type: ignore[attr-defined]
        if peer.reader._buffer:  # type: ignore[attr-defined]
            call.head_at = self.clock.seconds
        return await read_reply(peer.reader, first_seconds=PATIENCE_SECONDS,
                                hold_seconds=PATIENCE_SECONDS)

    def _leave(self, peer: Peer) -> None:
        for call in self.calls:
            call.left = True
        way = self.dice.random()
        if way < 0.3:
            peer.end()
            return
        peer.reset() if way < 0.6 else peer.close()
        peer.reader.feed_eof()


def request(call: Call, secret: str, key: str, dice: Random) -> bytes:
    """A call's bytes, with all that tells who sends it."""
    tag = call.tag.decode()
    fields = [("Host", "relay.test"), ("User-Agent", secret), ("Cookie", f"who={secret}"),
              ("X-Forwarded-For", "10.9.9.9"), ("traceparent", secret)]
    if dice.random() < 0.2:
        fields.append(("x-stainless-timeout", dice.choice(("1", "4", "600"))))
    text = f"{tag} " + "hello " * dice.choice((1, 1, 1, 200, 9000))
    if call.upload:
        path = "/v1/audio/transcriptions"
        kind, body = "multipart/form-data; boundary=bbb", _form(tag, text)
    else:
        path = PATHS.get(call.api) or (
            f"/v1beta/models/{tag}:" + ("streamGenerateContent?alt=sse" if call.stream
                                        else "generateContent"))
        kind, body = "application/json", json.dumps(_asked(call, text, secret)).encode()
    fields += [("Content-Type", kind), _credential(call.api, key)]
    if call.api == "anthropic":
        fields.append(("anthropic-version", "2023-06-01"))
    chunked = dice.random() < (0.6 if call.upload else 0.1)
    if chunked:
        fields.append(("Transfer-Encoding", "chunked"))
        body = _in_chunks(body, dice)
    else:
        fields.append(("Content-Length", str(len(body))))
    head = f"POST {path} HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in fields) + "\r\n"
    return head.encode() + body


def _credential(api: Api, key: str) -> tuple[str, str]:
    return {"anthropic": ("x-api-key", key), "gemini": ("x-goog-api-key", key)}.get(
        api, ("Authorization", f"Bearer {key}"))


def _asked(call: Call, text: str, secret: str) -> dict[str, object]:
    if call.api == "gemini":
        return {"contents": [{"role": "user", "parts": [{"text": text}]}],
                "generationConfig": {"maxOutputTokens": 500}}
    asked: dict[str, object] = {
        "model": call.tag.decode(), "messages": [{"role": "user", "content": text}],
        "max_tokens": 500, "stream": call.stream}
    if call.api == "anthropic":
        return {**asked, "metadata": {"user_id": secret}}
    if call.stream and call.usage_asked:
        asked["stream_options"] = {"include_usage": True}
    return {**asked, "user": secret}


def _form(tag: str, text: str) -> bytes:
    parts = (("model", tag), ("prompt", text), ("file\"; filename=\"a.mp3", "x" * len(text)))
    return "".join(
        f'--bbb\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in parts).encode() + b"--bbb--\r\n"


def _in_chunks(body: bytes, dice: Random) -> bytes:
    pieces = []
    while body:
        size = dice.randint(1, max(1, min(len(body), 8000)))
        pieces.append(b"%x\r\n%b\r\n" % (size, body[:size]))
        body = body[size:]
    return b"".join(pieces) + b"0\r\n\r\n"
