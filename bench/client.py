"""The load: closed loop for CPU, open loop for latency, held streams for memory.

Law: in an open loop every time counts from the *intended* moment: of the call by its schedule, of
an event by the stamp that the upstream put into it. A late client or a queue is not left out.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from bench.ticker import Ticker

HOST: Final = "127.0.0.1"
OPENING: Final = 64
"""Connections that are opened at the same time when many are wanted."""
_STAMP: Final = re.compile(rb'"fp_(\d{20})"')
_LENGTH: Final = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_EVENT: Final = re.compile(rb"^data: ", re.MULTILINE)
Requests = Sequence[bytes]


class Broken(Exception):
    """A call had no complete 200 answer: the figures would mean nothing."""


@dataclass(slots=True)
class Answer:
    """What one call was: times are nanoseconds of CLOCK_MONOTONIC, `gaps_ns` late by stamp."""

    intended_ns: int
    first_ns: int = 0
    done_ns: int = 0
    events: int = 0
    gaps_ns: list[int] = field(default_factory=list)


class Connection(asyncio.Protocol):
    """One connection that is kept alive and has at most one call at a time."""

    def __init__(self, done: Callable[[Connection, Answer], None]) -> None:
        self.done = done
        self.transport: asyncio.Transport | None = None
        self.answer: Answer | None = None
        self.received = b""
        self.size = -1
        self.broken: Callable[[str], None] | None = None
        self.first: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def send(self, request: bytes, intended_ns: int) -> None:
        """Starts a call; `done` tells its end."""
        assert self.transport is not None
        self.answer = Answer(intended_ns)
        self.received, self.size = b"", -1
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        now_ns = time.monotonic_ns()
        answer = self.answer
        if answer is None:
            return self._break("an answer that nobody asked for")
        if not answer.first_ns:
            answer.first_ns = now_ns
        for stamp in _STAMP.findall(data):
            answer.gaps_ns.append(now_ns - int(stamp))
        self.received = data if not self.received else self.received + data
        if self.size < 0 and not self._head():
            return None
        if self.first is not None and not self.first.done():
            self.first.set_result(None)
        if self.size:
            complete = len(self.received) >= self.size
        else:
            complete = self.received.endswith(b"\r\n0\r\n\r\n")
        if complete:
            answer.done_ns = now_ns
            answer.events = len(_EVENT.findall(self.received)) if not self.size else 0
            self.answer = None
            self.done(self, answer)
        return None

    def _head(self) -> bool:
        """Reads the size of the answer, 0 for chunked; False while the head is not whole."""
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = self.received[:end]
        if not head.startswith(b"HTTP/1.1 200"):
            self._break(head.split(b"\r\n", 1)[0].decode("latin-1"))
            return False
        found = _LENGTH.search(head)
        self.size = end + 4 + int(found[1]) if found else 0
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if self.answer is not None:
            self._break("the connection was closed within a call")

    def _break(self, why: str) -> None:
        if self.broken is not None:
            self.broken(why)

    def close(self) -> None:
        """Ends the connection."""
        self.answer = None
        if self.transport is not None:
            self.transport.abort()


class Load:
    """Connections to one address and the calls on them; use as `async with`."""

    def __init__(self, port: int, requests: Requests, connections: int) -> None:
        self.port = port
        self.requests = requests
        self.wanted = connections
        self.loop = asyncio.get_running_loop()
        self.idle: deque[Connection] = deque()
        self.all: list[Connection] = []
        self.answers: list[Answer] = []
        self.due: deque[int] = deque()
        self.started = 0
        self.calls = 0
        self.closed_loop = False
        self.finished: asyncio.Future[None] = self.loop.create_future()

    async def __aenter__(self) -> Load:
        while len(self.all) < self.wanted:
            count = min(OPENING, self.wanted - len(self.all))
            opened = await asyncio.gather(*(
                self.loop.create_connection(lambda: Connection(self._done), HOST, self.port)
                for _ in range(count)))
            self.all += [connection for _, connection in opened]
        for connection in self.all:
            connection.broken = self._broken
        self.idle.extend(self.all)
        return self

    async def __aexit__(self, *_: object) -> None:
        for connection in self.all:
            connection.close()
        if self.finished.done() and not self.finished.cancelled():
            self.finished.exception()
        await asyncio.sleep(0.05)

    async def closed(self, calls: int, seconds_max: float = 60.0) -> list[Answer]:
        """`calls` calls, each connection starting its next as one ends."""
        self._begin(calls, closed_loop=True)
        while self.idle and self.started < calls:
            self._send(self.idle.popleft(), time.monotonic_ns())
        await asyncio.wait_for(self.finished, seconds_max)
        return self.answers

    async def open(self, per_second: float, calls: int) -> list[Answer]:
        """`calls` calls at a constant rate, whatever the answers do."""
        self._begin(calls, closed_loop=False)
        ticker = Ticker(self._tick, round(1e9 / per_second))
        try:
            await asyncio.wait_for(self.finished, calls / per_second + 20.0)
        finally:
            ticker.stop()
        return self.answers

    async def hold(self) -> None:
        """One call on every connection; returns when each has its first bytes."""
        waiting = deque(self.all)
        self.idle.clear()
        while waiting:
            batch = [waiting.popleft() for _ in range(min(OPENING, len(waiting)))]
            for number, connection in enumerate(batch):
                connection.first = self.loop.create_future()
                connection.send(self.requests[number % len(self.requests)], time.monotonic_ns())
            firsts = [connection.first for connection in batch if connection.first is not None]
            await asyncio.wait((asyncio.gather(*firsts), self.finished), timeout=20.0,
                               return_when=asyncio.FIRST_COMPLETED)
            if self.finished.done():
                await self.finished
            if not all(first.done() for first in firsts):
                raise Broken("a stream did not begin within 20 seconds")

    def _begin(self, calls: int, *, closed_loop: bool) -> None:
        self.calls, self.started, self.answers = calls, 0, []
        self.closed_loop = closed_loop
        self.finished = self.loop.create_future()

    def _send(self, connection: Connection, intended_ns: int) -> None:
        request = self.requests[self.started % len(self.requests)]
        self.started += 1
        connection.send(request, intended_ns)

    def _tick(self, intended_ns: int) -> None:
        if self.started + len(self.due) >= self.calls:
            return
        if self.idle:
            self._send(self.idle.popleft(), intended_ns)
        else:
            self.due.append(intended_ns)

    def _done(self, connection: Connection, answer: Answer) -> None:
        self.answers.append(answer)
        if self.due:
            self._send(connection, self.due.popleft())
        elif self.closed_loop and self.started < self.calls:
            self._send(connection, time.monotonic_ns())
        else:
            self.idle.append(connection)
        if len(self.answers) == self.calls and not self.finished.done():
            self.finished.set_result(None)

    def _broken(self, why: str) -> None:
        if not self.finished.done():
            self.finished.set_exception(Broken(why))
