"""An upstream on raw sockets: records every byte, reads strictly, answers by script.

Nothing of an HTTP library is in it, so that what it records is what was sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tests.fakes.rawhttp import (
    STREAM_BYTES_MAX, Garbage, Request, Truncated, read_request_body, read_request_head,
)

SEGMENT_SECONDS = 0.002
"""Between the segments of a paced answer."""
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: on, 0 seconds: close() then sends RST."""
After = Literal["keep", "close", "reset", "hold"]


@dataclass(frozen=True, slots=True)
class Answer:
    """Raw bytes, how they are paced (`once`, `bytes`, `segments-N`), and what follows them."""

    raw: bytes
    pace: str = "once"
    after: After = "keep"


Answerer = Callable[[Request], Answer]


def message(
    body: bytes, content_type: str = "application/json", *, status: int = 200,
    fields: tuple[tuple[str, str], ...] = (), chunked: bool = False,
) -> bytes:
    """A plain reply with one framing."""
    head = f"HTTP/1.1 {status} Status\r\nContent-Type: {content_type}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in fields)
    if chunked:
        framed = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
        return head.encode("latin-1") + b"Transfer-Encoding: chunked\r\n\r\n" + framed
    return head.encode("latin-1") + b"Content-Length: %d\r\n\r\n" % len(body) + body


async def paced(writer: asyncio.StreamWriter, raw: bytes, pace: str) -> None:
    """Writes `raw` at once, an octet a write, or in segments of N octets."""
    size = {"once": len(raw) or 1, "bytes": 1}.get(pace) or int(pace.removeprefix("segments-"))
    for number, start in enumerate(range(0, len(raw), size)):
        writer.write(raw[start:start + size])
        if size > 1:
            await writer.drain()
            if start + size < len(raw):
                await asyncio.sleep(SEGMENT_SECONDS)
        elif number % 16 == 0:
            await asyncio.sleep(0)
    await writer.drain()


class _Recorder(asyncio.StreamReader):
    """A reader that keeps every byte that it is fed, and marks where a request began."""

    def __init__(self, *, limit: int, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(limit=limit, loop=loop)
        self.recorded = bytearray()

    def feed_data(self, data: bytes) -> None:  # type: ignore[override]
        self.recorded += data
        super().feed_data(data)

    def unread(self) -> int:
        """Bytes that came and were not read yet."""
        return len(self._buffer)  # type: ignore[attr-defined]


class RawUpstream:
    """`await start()`, point the relay at `port`, read `requests`, `await stop()`.

    Each request takes the next of `answers`, else what `answer` makes of it. `on_connect` is sent
    before anything is read. `early` answers a request whose body has not been read yet.
    """

    def __init__(self, answer: Answerer, *, tls: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self.answers: deque[Answer] = deque()
        self.early: deque[Answer] = deque()
        self.on_connect: deque[Answer] = deque()
        self.requests: list[Request] = []
        self.malformed: list[str] = []
        self.received: list[bytearray] = []
        self.partial = 0
        self.opened = 0
        self.tls = tls
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """The port on 127.0.0.1."""
        assert self._server is not None
        number: int = self._server.sockets[0].getsockname()[1]
        return number

    @property
    def open_now(self) -> int:
        """Connections that have not ended."""
        return len(self._tasks)

    async def start(self) -> None:
        """Listens on a free port of loopback."""
        loop = asyncio.get_running_loop()

        def protocol() -> asyncio.StreamReaderProtocol:
            reader = _Recorder(limit=STREAM_BYTES_MAX, loop=loop)
            return asyncio.StreamReaderProtocol(reader, self._connected, loop=loop)

        self._server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=self.tls)

    async def stop(self) -> None:
        """Ends every connection and the listener."""
        assert self._server is not None
        self._server.close()
        await self.hang_up()
        await self._server.wait_closed()

    async def hang_up(self) -> None:
        """Ends every connection, idle ones too, and gives the other side a moment to notice."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.01)

    def reset(self) -> None:
        """Forgets what was recorded and scripted; open connections go on."""
        self.requests.clear()
        self.malformed.clear()
        self.answers.clear()
        self.early.clear()
        self.on_connect.clear()
        self.partial = 0

    async def _connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        assert isinstance(reader, _Recorder)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.opened += 1
        self.received.append(reader.recorded)
        try:
            await self._serve(reader, writer, self.opened)
        except Garbage as rule:
            self.malformed.append(str(rule))
        except Truncated:
            self.partial += 1
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError, ssl.SSLError):
                await writer.wait_closed()

    async def _serve(
        self, reader: _Recorder, writer: asyncio.StreamWriter, number: int
    ) -> None:
        if self.on_connect:
            await self._say(writer, self.on_connect.popleft())
        while True:
            start = len(reader.recorded) - reader.unread()
            request = await read_request_head(reader)
            if request is None:
                return
            request.connection = number
            if self.early:
                self.requests.append(request)
                if not await self._say(writer, self.early.popleft()):
                    return
                await read_request_body(reader, request)
                continue
            await read_request_body(reader, request)
            request.raw = bytes(reader.recorded[start:len(reader.recorded) - reader.unread()])
            self.requests.append(request)
            answer = self.answers.popleft() if self.answers else self.answer(request)
            if not await self._say(writer, answer):
                return

    async def _say(self, writer: asyncio.StreamWriter, answer: Answer) -> bool:
        """Plays an answer; False where the connection ends with it."""
        await paced(writer, answer.raw, answer.pace)
        if answer.after == "reset":
            await asyncio.sleep(0.05)
            sock = writer.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()
        if answer.after == "hold":
            await asyncio.sleep(600)
        return answer.after == "keep"
