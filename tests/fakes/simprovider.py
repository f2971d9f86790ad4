"""Providers of a simulated relay: what each call gets there is the dice's, and is noted.

Every call has a tag, in its prompt and in each event of its answers: so bytes that reach somebody
else are seen.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass, field
from random import Random
from typing import Any

from relayd.core.provider import Api
from tests.fakes.rawhttp import Garbage, Request, Truncated, read_request_body, read_request_head
from tests.fakes.rawupstream import message
from tests.fakes.simnet import Clock, Peer

TAG = re.compile(rb"tag[0-9]+z")
OTHER = re.compile(rb'"other"|models/other:|\r\nother\r\n')
"""The model of a fallback."""
GOOD = ("good",) * 9
BAD = ("400", "401", "408", "429", "500", "503", "529", "302", "silent", "mute", "close", "reset",
       "half head", "half", "half reset", "garbage", "early", "bare")


@dataclass
class Seen:
    """One request that reached a provider, and what became of it. `visible` is the body that its
    client may see; `whole`: all of it was sent. `other`: by the fallback's name of the model."""

    provider: str
    tag: bytes
    at: float
    raw: bytes
    kind: str = ""
    status: int = 0
    visible: bytes = b""
    usage: tuple[int, int] = (0, 0)
    other: bool = False
    body_came: bool = False
    whole: bool = False
    whole_at: float = 0.0


@dataclass
class Ask:
    """What a client asks, as far as a provider's answer depends on it."""

    tag: bytes
    api: Api
    stream: bool
    usage_asked: bool = True
    words: int = 3


@dataclass
class Providers:
    """All providers. `trouble` is the share of requests that are not simply answered."""

    clock: Clock
    dice: Random
    trouble: float
    asks: dict[bytes, Ask] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    async def serve(self, name: str, peer: Peer) -> None:
        """One connection of the relay's."""
        try:
            while (request := await read_request_head(peer.reader)) is not None:
                if not await self._answer(name, peer, request):
                    break
                if self.dice.random() < 0.03:  # it closes while the connection is idle, or taken
                    await asyncio.sleep(0.1 + self.dice.random() ** 3)
                    if self.dice.random() < 0.2:
                        peer.reset()
                    break
        except Garbage as error:
            self.faults.append(f"{name} was sent no HTTP: {error}")
        except (Truncated, ConnectionError):
            pass
        peer.close()

    async def _answer(self, name: str, peer: Peer, request: Request) -> bool:
        """False where that was the connection's last."""
        dice = self.dice
        kind = dice.choice(BAD if dice.random() < self.trouble else GOOD)
        seen = Seen(name, b"", self.clock.seconds, request.head, kind)
        self.seen.append(seen)
        try:
            if kind == "early":
                found = TAG.search(request.head)
                seen.tag = found[0] if found else b""
                await self._say(peer, seen, _error(429, b"early", keeps=False), 429)
                return False
            await read_request_body(peer.reader, request)
        finally:
            seen.raw += request.body
            found = TAG.search(seen.raw)
            seen.tag = found[0] if found else b""
        seen.body_came = True
        seen.other = OTHER.search(seen.raw) is not None
        if len(set(TAG.findall(seen.raw))) != 1:
            self.faults.append(f"{name} was sent {seen.raw!r}")
            return False
        if dice.random() < 0.4:
            await asyncio.sleep(dice.random() ** 2 * 4)
        return await self._act(peer, seen)

    async def _act(self, peer: Peer, seen: Seen) -> bool:
        kind, dice = seen.kind, self.dice
        if kind.isdigit():
            status = int(kind)
            keeps = dice.random() < 0.7
            await self._say(peer, seen, _error(status, seen.tag, keeps, dice), status)
            return keeps
        if kind in ("silent", "mute"):
            await peer.reader.read()
            return False
        if kind == "close":
            return False
        if kind == "reset":
            peer.reset()
            return False
        if kind == "garbage":
            await peer.send(b"220 smtp.example.org ESMTP\r\n")
            return False
        return await self._good(peer, seen)

    async def _good(self, peer: Peer, seen: Seen) -> bool:
        dice, ask = self.dice, self.asks[seen.tag]
        number = int(seen.tag[3:-1])
        seen.status, seen.usage = 200, (100 + number, 7 + number)
        pieces, hidden = _pieces(ask, seen.usage)
        seen.visible = b"".join(p for n, p in enumerate(pieces) if n != hidden)
        framing = dice.choice(("length", "chunked", "end"))
        closes = framing == "end" or dice.random() < 0.1
        head = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nSet-Cookie: a=b\r\n" % (
            b"text/event-stream" if ask.stream else b"application/json")
        if dice.random() < 0.1:
            head = b"HTTP/1.1 100 Continue\r\n\r\n" * dice.randint(1, 3) + head
        if framing == "length":
            head += b"Content-Length: %d\r\n" % sum(map(len, pieces))
        elif framing == "chunked":
            head += b"Transfer-Encoding: chunked\r\n"
            pieces = [b"%x\r\n%b\r\n" % (len(p), p) for p in pieces] + [b"0\r\n\r\n"]
        head += b"Connection: close\r\n\r\n" if closes else b"\r\n"
        pieces[0] = head + pieces[0] if dice.random() < 0.5 else pieces[0]
        if not pieces[0].startswith(b"HTTP/"):
            pieces.insert(0, head)
        raw = b"".join(pieces)
        if seen.kind == "half head":
            await peer.send(raw[:dice.randrange(1, len(head))])
            return False
        if seen.kind in ("half", "half reset"):
            await self._send(peer, [raw[:dice.randrange(len(head), len(raw))]])
            if seen.kind == "half reset":
                peer.reset()
            return False
        if seen.kind == "bare" and ask.stream:  # ended cleanly, without the dialect's end
            pieces = pieces[:-2]
        await self._send(peer, [raw] if dice.random() < 0.4 and seen.kind != "bare" else pieces)
        seen.whole = seen.kind != "bare" and not (peer.lost or peer.closed)
        seen.whole_at = self.clock.seconds
        return not closes and seen.kind != "bare"

    async def _send(self, peer: Peer, pieces: list[bytes]) -> None:
        hurried = self.dice.random() < 0.5
        for n, piece in enumerate(pieces):
            if n and not hurried:
                await asyncio.sleep(self.dice.random() ** 6 * 3)
            await peer.send(piece)

    async def _say(self, peer: Peer, seen: Seen, raw: bytes, status: int) -> None:
        await peer.send(raw)
        seen.status, seen.whole, seen.whole_at = status, True, self.clock.seconds


def _error(status: int, tag: bytes, keeps: bool, dice: Random | None = None) -> bytes:
    fields: tuple[tuple[str, str], ...] = () if keeps else (("Connection", "close"),)
    if status == 302:
        fields += (("Location", "http://elsewhere.example/"),)
    if dice is not None and dice.random() < 0.4:
        fields += (("Retry-After", dice.choice(("0", "1", "4", "30"))),)
    body = b'{"error":{"message":"not now %b","type":"x","code":null}}' % tag
    return message(body, status=status, fields=fields)


def _pieces(ask: Ask, usage: tuple[int, int]) -> tuple[list[bytes], int]:
    """The pieces of an answer's body, and which one its client does not see."""
    tag = ask.tag.decode()
    make = {"openai": _openai, "anthropic": _anthropic, "gemini": _gemini}[ask.api]
    events = make(tag, [f"{tag} w{n} " for n in range(ask.words)], usage, ask.stream)
    if not ask.stream:
        return [json.dumps(events[0]).encode()], -1
    pieces = []
    for event in events:
        name = f"event: {event['type']}\n" if ask.api == "anthropic" else ""
        pieces.append(f"{name}data: {json.dumps(event)}\n\n".encode())
    hidden = -1
    if ask.api == "openai":
        pieces.append(b"data: [DONE]\n\n")
        hidden = -1 if ask.usage_asked else len(pieces) - 2
    return pieces, hidden


def _openai(tag: str, words: list[str], usage: tuple[int, int], stream: bool) -> list[Any]:
    told = {"prompt_tokens": usage[0], "completion_tokens": usage[1],
            "total_tokens": sum(usage)}
    base = {"id": tag, "object": "chat.completion.chunk", "created": 1, "model": tag}
    if not stream:
        return [{**base, "object": "chat.completion", "usage": told, "choices": [{
            "index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": "".join(words)}}]}]
    return [*({**base, "choices": [{"index": 0, "delta": {"content": word}}]} for word in words),
            {**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
            {**base, "choices": [], "usage": told}]


def _anthropic(tag: str, words: list[str], usage: tuple[int, int], stream: bool) -> list[Any]:
    told = {"input_tokens": usage[0], "output_tokens": usage[1]}
    whole = {"id": tag, "type": "message", "role": "assistant", "model": tag, "usage": told,
             "content": [{"type": "text", "text": "".join(words)}], "stop_reason": "end_turn"}
    if not stream:
        return [whole]
    return [
        {"type": "message_start", "message": {
            **whole, "content": [], "stop_reason": None, "usage": {**told, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *({"type": "content_block_delta", "index": 0,
           "delta": {"type": "text_delta", "text": word}} for word in words),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"},
         "usage": {"output_tokens": usage[1]}},
        {"type": "message_stop"}]


def _gemini(tag: str, words: list[str], usage: tuple[int, int], stream: bool) -> list[Any]:
    told = {"promptTokenCount": usage[0], "candidatesTokenCount": usage[1],
            "totalTokenCount": sum(usage)}

    def part(text: str, **more: Any) -> dict[str, Any]:
        return {"candidates": [{"content": {"role": "model", "parts": [{"text": text}]},
                                "index": 0, **more}], "modelVersion": tag}

    if not stream:
        return [{**part("".join(words), finishReason="STOP"), "usageMetadata": told}]
    return [*(part(word) for word in words[:-1]),
            {**part(words[-1], finishReason="STOP"), "usageMetadata": told}]
