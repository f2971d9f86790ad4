"""Clients that are a burden: slow streams, idle connections, slowloris. A process of its own.

    python -m bench.slow_peers --port N --key K [--streams 5000] [--idle 2000] [--tricklers 500]

Prints `ready` when all are there, and when it is ended one line of JSON with what became of them.
Tricklers send an octet a second, half of them of a head and half of a body; who is let go begins
again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import signal
from collections.abc import Callable

import uvloop

from bench import payload
from bench.client import HOST, OPENING
from bench.process import raise_file_limit

EVENTS = 400
TRICKLE_SECONDS = 1.0
BODY_BYTES = 4000


class Slow(asyncio.Protocol):
    """One connection; `heard` is called at its first octet, `left` at its end."""

    def __init__(self, heard: Callable[[], None], left: Callable[[], None]) -> None:
        self.transport: asyncio.Transport | None = None
        self._heard: Callable[[], None] | None = heard
        self._left = left

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        if self._heard is not None:
            self._heard()
            self._heard = None

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self._left()


class Burden:
    """All of them. `ready` when each stream has begun and each idle connection had its answer."""

    def __init__(self, port: int, key: str) -> None:
        self.port = port
        self.key = key
        self.ending = False
        self.lost = 0
        self.let_go = 0
        self.loop = asyncio.get_running_loop()

    async def hold(self, count: int, requests: list[bytes]) -> None:
        """So many connections with one call each, whose answer is awaited."""
        for at in range(0, count, OPENING):
            waiting = []
            for number in range(at, min(at + OPENING, count)):
                first: asyncio.Future[None] = self.loop.create_future()
                waiting.append(first)
                slow = await self._connect(lambda one=first: one.set_result(None), self._was_lost)
                assert slow.transport is not None
                slow.transport.write(requests[number % len(requests)])
            await asyncio.wait_for(asyncio.gather(*waiting), 30.0)

    async def trickle(self, number: int) -> None:
        """One trickler, for ever."""
        lines = f"POST {payload.CHAT_PATH} HTTP/1.1\r\nHost: relay.test\r\n"
        if number % 2:
            lines += (f"Authorization: Bearer {self.key}\r\nContent-Type: application/json\r\n"
                      f"Content-Length: {BODY_BYTES}\r\n\r\n")
        octet = b" " if number % 2 else b"x"
        while not self.ending:
            slow = await self._connect(lambda: None, self._was_let_go)
            for part in itertools.chain([lines.encode()], itertools.repeat(octet)):
                if slow.transport is None or self.ending:
                    break
                slow.transport.write(part)
                await asyncio.sleep(TRICKLE_SECONDS)

    async def _connect(self, heard: Callable[[], None], left: Callable[[], None]) -> Slow:
        _, slow = await self.loop.create_connection(lambda: Slow(heard, left), HOST, self.port)
        return slow

    def _was_lost(self) -> None:
        if not self.ending:
            self.lost += 1

    def _was_let_go(self) -> None:
        self.let_go += 1


async def carry(arguments: argparse.Namespace) -> None:
    """Until SIGTERM."""
    end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
    burden = Burden(arguments.port, arguments.key)
    await burden.hold(arguments.idle, payload.chat_requests(arguments.key, stream=False))
    await burden.hold(arguments.streams,
                      payload.chat_requests(arguments.key, stream=True, events=EVENTS))
    tricklers = [asyncio.ensure_future(burden.trickle(number))
                 for number in range(arguments.tricklers)]
    await asyncio.sleep(2 * TRICKLE_SECONDS)
    print("ready", flush=True)
    await end.wait()
    burden.ending = True
    print(json.dumps({"lost": burden.lost, "let_go": burden.let_go}), flush=True)
    for trickler in tricklers:
        trickler.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*tricklers, return_exceptions=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.slow_peers")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--streams", type=int, default=5000)
    parser.add_argument("--idle", type=int, default=2000)
    parser.add_argument("--tricklers", type=int, default=500)
    raise_file_limit()
    uvloop.run(carry(parser.parse_args()))


if __name__ == "__main__":
    main()
