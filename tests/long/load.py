"""Calls at a fixed rate, whatever becomes of them: half of them streams, on pooled connections.

The clients are as those of SDKs: they keep connections alive, look at one before they use it again
as httpx does, and never retry.
"""

from __future__ import annotations

import asyncio
import json
import re
import select
from dataclasses import dataclass

SLOTS = 16_000
"""Calls have so many model names, by which records of calls without an answer are told apart."""
MODEL = "load-"
RATE = 200
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ID = re.compile(rb"\r\nx-request-id: *([0-9A-Z]+)", re.IGNORECASE)


@dataclass(slots=True)
class Call:
    """One call and what its client got. `whole`: all of a 200, up to its dialect's end."""

    number: int
    stream: bool
    sent: bool = False
    status: int = 0
    id: str = ""
    whole: bool = False
    began_at: float = 0.0
    ended_at: float = 0.0
    failure: str = ""
    told: bool = False
    """A stream's last words were an error event."""

    @property
    def took(self) -> float:
        """Seconds from the moment at which it was due until its end."""
        return self.ended_at - self.began_at


def body_of(call: Call) -> bytes:
    """The JSON of a call."""
    value = {"model": f"{MODEL}{call.number % SLOTS}", "messages": [
        {"role": "user", "content": f"call {call.number} of the load"}]}
    if call.stream:
        value["stream"] = True
    return json.dumps(value).encode()


class Connection(asyncio.Protocol):
    """One connection of a client's: `send()`, then `done` says whether it can be used again."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._transport: asyncio.Transport = None  # type: ignore[assignment]
        self._poll = select.poll()
        self._call: Call | None = None
        self._buffer = bytearray()
        self._end = 0
        self._used = 0
        self.done: asyncio.Future[bool] | None = None
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        used = ", used before" if self._used > 1 else ""
        self._finish(("reset" if error else "closed") + used)

    def usable(self) -> bool:
        """Whether nothing has come on it since, not even its end."""
        return not self.lost and not self._poll.poll(0)

    def close(self) -> None:
        """Ends it."""
        self._transport.abort()

    def send(self, call: Call, key: str) -> asyncio.Future[bool]:
        """Sends a call."""
        body = body_of(call)
        self._call, self._end = call, 0
        self._buffer.clear()
        self._used += 1
        self.done = asyncio.get_running_loop().create_future()
        call.sent = True
        self._transport.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: relay.test\r\nAuthorization: Bearer "
            + key.encode() + b"\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            % len(body) + body)
        return self.done

    def data_received(self, data: bytes) -> None:
        buffer, call = self._buffer, self._call
        buffer += data
        if call is None:
            return
        if not self._end:
            self._end = buffer.find(b"\r\n\r\n") + 4
            if self._end < 4:
                self._end = 0
                return
            self._head(call)
        length = _LENGTH.search(buffer, 0, self._end)
        if length is None and buffer.endswith(b"0\r\n\r\n"):
            call.whole = call.status == 200 and b"data: [DONE]" in buffer
            self._finish("" if call.whole else "no last event")
        elif length is not None and len(buffer) >= self._end + int(length[1]):
            call.whole = call.status == 200
            self._finish("")

    def _head(self, call: Call) -> None:
        status = _STATUS.match(self._buffer)
        found = _ID.search(self._buffer, 0, self._end)
        call.status = int(status[1]) if status else 0
        call.id = found[1].decode() if found else ""

    def _finish(self, failure: str) -> None:
        call, self._call = self._call, None
        if call is None or self.done is None:
            return
        call.ended_at = asyncio.get_running_loop().time()
        call.failure = failure
        call.told = b'data: {"error"' in self._buffer
        closes = b"connection: close" in self._buffer[:self._end].lower()
        if not self.done.done():
            self.done.set_result(not failure and not closes)


class Load:
    """`await run(seconds)`: calls to an address. `calls` are all that were made, oldest first."""

    def __init__(self, address: tuple[str, int], key: str, rate: float = RATE) -> None:
        self.address = address
        self.key = key
        self.calls: list[Call] = []
        self._rate = rate
        self._next = 0
        self._pool: list[Connection] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()

    async def run(self, seconds: float) -> None:
        """Begins calls for so long, or until `stop()`; does not wait for their ends."""
        loop = asyncio.get_running_loop()
        self._stopping.clear()
        began = loop.time()
        count = 0
        while (now := loop.time()) < began + seconds and not self._stopping.is_set():
            while count < (now - began) * self._rate:
                self.begin()
                count += 1
            await asyncio.sleep(1 / self._rate)

    def begin(self, stream: bool | None = None) -> Call:
        """Begins one call."""
        number, self._next = self._next, self._next + 1
        call = Call(number, number % 2 == 0 if stream is None else stream,
                    began_at=asyncio.get_running_loop().time())
        self.calls.append(call)
        task = asyncio.get_running_loop().create_task(self._one(call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return call

    def stop(self) -> None:
        """Begins no more calls."""
        self._stopping.set()

    async def ended(self, seconds: float = 60.0) -> None:
        """Until every call has ended, somehow."""
        async with asyncio.timeout(seconds):
            while self._tasks:
                await asyncio.wait(self._tasks)

    def close(self) -> None:
        """Ends idle connections."""
        for connection in self._pool:
            connection.close()
        self._pool.clear()

    def take(self) -> list[Call]:
        """The calls since the last take, which must have ended."""
        taken, self.calls = self.calls, []
        return taken

    async def _one(self, call: Call) -> None:
        try:
            connection = await self._connection()
        except OSError:
            call.failure = "refused"
            return
        if await connection.send(call, self.key):
            self._pool.append(connection)
        else:
            connection.close()

    async def _connection(self) -> Connection:
        while self._pool:
            connection = self._pool.pop()
            if connection.usable():
                return connection
            connection.close()
        loop = asyncio.get_running_loop()
        _, made = await loop.create_connection(lambda: Connection(self), *self.address)
        return made
