"""The upstream of all measurements: answers at once, or streams at a pace. A process of its own.

    python -m bench.upstream --port N [--pace-ms 2] [--hold] [--tls CERTIFICATE KEY]

A request with `"stream":true` gets `max_tokens` text events and four around them, each event a
write of its own, on time by the absolute schedule and stamped with that time. `--hold` stops
after the first event. Anthropic's path gets its whole stream in one write. Else: 600 bytes JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import ssl
import time
from functools import cache
from typing import Final

import aiofastnet
import httptools
import uvloop

from bench import payload
from bench.process import raise_file_limit
from bench.ticker import Ticker

_STREAM: Final = re.compile(rb'"stream"\s*:\s*true')
_LENGTH: Final = re.compile(rb'"max_(?:completion_)?tokens"\s*:\s*(\d+)')
_FIELDS: Final = b"date: Mon, 24 Nov 2025 10:00:00 GMT\r\nx-request-id: req_0123456789abcdef\r\n"
_SSE: Final = (
    b"HTTP/1.1 200 OK\r\n" + _FIELDS + b"content-type: text/event-stream; charset=utf-8\r\n"
    b"cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n")


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _whole_json() -> bytes:
    body = payload.chat_reply()
    return (b"HTTP/1.1 200 OK\r\n" + _FIELDS + b"content-type: application/json\r\n"
            b"content-length: %d\r\n\r\n" % len(body)) + body


JSON_REPLY: Final = _whole_json()
AGENT_REPLY: Final = _SSE + _chunk(payload.agent_reply()) + b"0\r\n\r\n"


@cache
def _plan(count: int) -> list[tuple[bytes, bytes]]:
    """The events of a stream with their chunk framing around the place of the stamp."""
    framed = []
    for before, after in payload.chat_events(count):
        size = len(before) + len(after) + (payload.STAMP_DIGITS if after else 0)
        framed.append((b"%x\r\n%b" % (size, before), after + b"\r\n"))
    before, after = framed[-1]
    framed[-1] = (before, after + b"0\r\n\r\n")
    return framed


class Answers(asyncio.Protocol):
    """One connection; requests come one after the other."""

    def __init__(self, pace_ns: int, hold: bool) -> None:
        self.pace_ns = pace_ns
        self.hold = hold
        self.transport: asyncio.Transport | None = None
        self.parser = httptools.HttpRequestParser(self)
        self.body: list[bytes] = []
        self.target = b""
        self.ticker: Ticker | None = None
        self.events: list[tuple[bytes, bytes]] = []
        self.sent = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            if self.transport is not None:
                self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self._rest()

    def on_message_begin(self) -> None:
        self.body = []

    def on_url(self, url: bytes) -> None:
        self.target = url

    def on_body(self, data: bytes) -> None:
        self.body.append(data)

    def on_message_complete(self) -> None:
        body = b"".join(self.body)
        self.body = []
        if b"/messages" in self.target:
            self._write(AGENT_REPLY)
        elif not _STREAM.search(body):
            self._write(JSON_REPLY)
        else:
            found = _LENGTH.search(body)
            self._stream(int(found[1]) if found else 64)

    def _write(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.write(data)

    def _stream(self, count: int) -> None:
        self.events = _plan(count)
        now_ns = time.monotonic_ns()
        self._write(_SSE + self._event(0, now_ns))
        self.sent = 1
        if not self.hold:
            self.ticker = Ticker(self._tick, self.pace_ns, now_ns + self.pace_ns)

    def _event(self, number: int, intended_ns: int) -> bytes:
        before, after = self.events[number]
        return before + (b"%020d" % intended_ns if after[0] == 0x22 else b"") + after

    def _tick(self, intended_ns: int) -> None:
        self._write(self._event(self.sent, intended_ns))
        self.sent += 1
        if self.sent == len(self.events):
            self._rest()

    def _rest(self) -> None:
        if self.ticker is not None:
            self.ticker.stop()
            self.ticker = None


async def serve(arguments: argparse.Namespace) -> None:
    """Serves until the process is ended."""
    loop = asyncio.get_running_loop()
    context = None
    if arguments.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*arguments.tls)
    pace_ns = round(arguments.pace_ms * 1e6)
    server = await aiofastnet.create_server(
        loop, lambda: Answers(pace_ns, arguments.hold), "127.0.0.1", arguments.port,
        backlog=4096, ssl=context)
    await server.serve_forever()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.upstream")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pace-ms", type=float, default=2.0)
    parser.add_argument("--hold", action="store_true")
    parser.add_argument("--tls", nargs=2, metavar=("CERTIFICATE", "KEY"))
    arguments = parser.parse_args()
    raise_file_limit()
    uvloop.run(serve(arguments))


if __name__ == "__main__":
    main()
