"""A provider that answers many calls at once, at a pace, and keeps its own list of them.

A call's number is in its prompt; how long it thinks, how much it says and what it reports as usage
follow from the number alone, so that a record can be held against it.
"""

from __future__ import annotations

import asyncio
import json
import re
from functools import cache

from tests.long.relays import LONG

INPUT_BASE = 10_000
"""A call reports this many input tokens, and its number more."""
EVENT_SECONDS = 0.08
LONG_EVERY = 100
LONG_WORDS = 45 if LONG else 15
_NUMBER = re.compile(rb'"call (\d+) ')
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_STREAM_HEAD = (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n")


def words(number: int) -> int:
    """How many words the answer to this call has; also its output tokens. A few are long."""
    return 2 + number % 11 if number % LONG_EVERY else LONG_WORDS


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@cache
def _event(text: str) -> bytes:
    value = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m",
             "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}
    return _chunk(b"data: " + json.dumps(value).encode() + b"\n\n")


def _usage(number: int) -> dict[str, int]:
    said = words(number)
    return {"prompt_tokens": INPUT_BASE + number, "completion_tokens": said,
            "total_tokens": INPUT_BASE + number + said}


def _last(number: int) -> bytes:
    """The end of a stream: why it ends, its usage, its last event, the last chunk."""
    stop = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    usage = {**stop, "choices": [], "usage": _usage(number)}
    text = "".join(f"data: {json.dumps(value)}\n\n" for value in (stop, usage))
    return _chunk(text.encode() + b"data: [DONE]\n\n") + b"0\r\n\r\n"


def _reply(number: int) -> bytes:
    body = json.dumps({
        "id": "x", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {
            "role": "assistant", "content": " word" * words(number)}}],
        "usage": _usage(number)}).encode()
    return (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            % len(body)) + body


class _Connection(asyncio.Protocol):
    """One connection of the relay's: a request, its answer, the next request."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._transport: asyncio.Transport = None  # type: ignore[assignment]
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._provider.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._provider.connections.discard(self)

    def close(self) -> None:
        """Ends it at once."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _LENGTH.search(self._buffer, 0, end)
        stop = end + 4 + (int(length[1]) if length else 0)
        if len(self._buffer) < stop:
            return
        body, self._buffer = self._buffer[end + 4:stop], self._buffer[stop:]
        found = _NUMBER.search(body)
        assert found is not None
        number = int(found[1])
        loop = asyncio.get_running_loop()
        self._provider.seen.append(number)
        self._provider.seen_at[number] = loop.time()
        if b'"stream":true' in body:
            loop.call_later(0.01, self._begin, number)
        else:
            loop.call_later(0.005 + number % 10 * 0.005, self._write, _reply(number))

    def _write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def _begin(self, number: int) -> None:
        self._write(_STREAM_HEAD + _event(" word"))
        self._go_on(number, words(number) - 1)

    def _go_on(self, number: int, left: int) -> None:
        if self._transport.is_closing():
            return
        if not left:
            self._write(_last(number))
            return
        self._write(_event(" word"))
        asyncio.get_running_loop().call_later(
            self._provider.event_seconds, self._go_on, number, left - 1)


class Provider:
    """`async with Provider() as provider`; `seen` are the numbers of the calls that came.

    `seen_at` says when each came, on the event loop's clock.
    """

    def __init__(self, event_seconds: float = EVENT_SECONDS) -> None:
        self.seen: list[int] = []
        self.seen_at: dict[int, float] = {}
        self.connections: set[_Connection] = set()
        self.event_seconds = event_seconds
        self.port = 0
        self._server: asyncio.AbstractServer | None = None

    async def __aenter__(self) -> Provider:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", 0, backlog=4096)
        self.port = server.sockets[0].getsockname()[1]
        self._server = server
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self.left()
        await self._server.wait_closed()

    async def left(self, seconds: float = 10.0) -> None:
        """Until every connection has ended, so that all that was sent has been read."""
        async with asyncio.timeout(seconds):
            while self.connections:
                await asyncio.sleep(0.01)
