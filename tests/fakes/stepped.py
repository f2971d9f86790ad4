"""An upstream whose connections are coroutines of the test, for what no script can say."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from relayd.core.provider import Address
from tests.fakes.rawclient import RawClient
from tests.fakes.rawhttp import STREAM_BYTES_MAX
from tests.fakes.rawupstream import RESET

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
EVENTS = (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
          b"Transfer-Encoding: chunked\r\n\r\n")


def vanish(client: RawClient) -> None:
    """The client's connection is reset: it neither reads nor sends any more.

    A plain close would say no more than that it has sent all it will (half-close).
    """
    sock = client.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    client.writer.transport.abort()


def chunk(data: bytes) -> bytes:
    """One chunk; the last one where there is no data."""
    return b"%x\r\n%b\r\n" % (len(data), data)


@asynccontextmanager
async def stepped(handle: Handle, path: str = "/v1") -> AsyncIterator[Address]:
    """Runs `handle` for every connection; yields where a provider of the relay finds it."""
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError,
                                     asyncio.CancelledError):
                await handle(reader, writer)
        finally:
            tasks.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=STREAM_BYTES_MAX)
    try:
        yield Address("http", "127.0.0.1", server.sockets[0].getsockname()[1], path)
    finally:
        server.close()
        running = list(tasks)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await server.wait_closed()
