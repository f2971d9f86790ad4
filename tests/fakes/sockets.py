"""WebSocket providers and clients for the tests, by the library `websockets`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from wsproto.utilities import generate_accept_token

from relayd.core.provider import Address
from tests.fakes.daemon import Lane
from tests.fakes.rawclient import RawClient, request_bytes

MODEL = "gpt-realtime"
USAGE = {
    "total_tokens": 15, "input_tokens": 10, "output_tokens": 5,
    "input_token_details": {"text_tokens": 10, "audio_tokens": 0, "cached_tokens": 4},
    "output_token_details": {"text_tokens": 5, "audio_tokens": 0},
}
Play = Callable[["Provider", ServerConnection], Awaitable[None]]


def event(kind: str, **members: Any) -> str:
    return json.dumps({"type": kind, "event_id": "event_x", **members})


def answer(name: str, *words: str) -> list[str]:
    """The events of one response."""
    return [
        event("response.created", response={"id": name, "status": "in_progress"}),
        *(event("response.output_text.delta", response_id=name, output_index=0, delta=word)
          for word in words),
        event("response.done", response={"id": name, "status": "completed", "usage": USAGE}),
    ]


@dataclass
class Provider:
    """What a provider has seen: the heads of handshakes, messages, how each session was closed."""

    address: Address = None  # type: ignore[assignment]
    handshakes: list[tuple[str, Headers]] = field(default_factory=list)
    heard: list[str | bytes] = field(default_factory=list)
    closes: list[tuple[int, str]] = field(default_factory=list)
    open_now: int = 0


async def obliging(provider: Provider, socket: ServerConnection) -> None:
    """Greets, and answers each response.create."""
    await socket.send(event("session.created", session={"id": "sess_1", "model": MODEL}))
    number = 0
    async for message in socket:
        provider.heard.append(message)
        if json.loads(message)["type"] == "response.create":
            number += 1
            for each in answer(f"resp_{number}", "Hello", " there"):
                await socket.send(each)


@asynccontextmanager
async def realtime_provider(play: Play = obliging, **options: Any) -> AsyncIterator[Provider]:
    """A provider of realtime sessions on loopback; `options` are those of `serve`."""
    provider = Provider()

    async def handle(socket: ServerConnection) -> None:
        assert socket.request is not None
        provider.handshakes.append((socket.request.path, socket.request.headers))
        provider.open_now += 1
        try:
            await play(provider, socket)
            await socket.wait_closed()
        except ConnectionClosed:
            pass
        finally:
            await socket.wait_closed()
            provider.open_now -= 1
            provider.closes.append((socket.close_code or 0, socket.close_reason or ""))

    async with serve(handle, "127.0.0.1", 0, **options) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        scheme: Literal["http", "https"] = "https" if "ssl" in options else "http"
        provider.address = Address(scheme, "127.0.0.1", port, "/v1")
        yield provider


def session(
    lane: Lane, model: str | None = MODEL, *, query: str = "",
    fields: dict[str, str] | None = None, key: str | None = None, scheme: str = "ws",
    **options: Any,
) -> connect:
    """A client's connection to a relay: `async with session(lane) as socket`."""
    host, port = lane.address
    named = "" if model is None else f"model={model}"
    headers = {"Authorization": f"Bearer {lane.key if key is None else key}", **(fields or {})}
    if key == "":
        del headers["Authorization"]
    return connect(
        f"{scheme}://{host}:{port}/v1/realtime?{named}{query}",
        additional_headers=headers, compression=options.pop("compression", None),
        proxy=None, **options)


async def told(socket: ClientConnection, kind: str) -> dict[str, Any]:
    """The next event of this type; others are let go."""
    async with asyncio.timeout(5):
        async for message in socket:
            found: dict[str, Any] = json.loads(message)
            if found["type"] == kind:
                return found
    raise AssertionError(f"no {kind}")


HANDSHAKE = (("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13"),
             ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="))
TARGET = f"/v1/realtime?model={MODEL}"


async def upgraded(client: RawClient, key: str) -> bytes:
    """A raw client's handshake, accepted."""
    await client.send(request_bytes(TARGET, key, method="GET", fields=HANDSHAKE))
    head = await asyncio.wait_for(client.reader.readuntil(b"\r\n\r\n"), 5)
    assert head.startswith(b"HTTP/1.1 101 "), head
    return head


async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """A raw provider's side of a handshake; returns the head that it got."""
    head = await reader.readuntil(b"\r\n\r\n")
    key = head.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + generate_accept_token(key) + b"\r\n\r\n")
    return head


async def rest(client: RawClient) -> bytes:
    """All that a raw client still gets until its connection ends."""
    async with asyncio.timeout(8):
        return await client.reader.read()
