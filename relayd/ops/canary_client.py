"""A client that plays canaries: sends raw requests, reads what comes, leaves where it is told to.

Law: every wait has an end, and what is read is let go at once. Connections of whole plays stay
open and idle until `close`: what a relay then still holds of them is to be found.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from contextlib import suppress
from typing import Final, NamedTuple

from relayd.core.canary_play import Play
from relayd.ops.configfile_address import parse_listen
from relayd.wire.websocket import close_payload, frame

PLAY_SECONDS: Final = 60.0
LEAVE_SECONDS: Final = 2.0
OPEN_MAX: Final = 64
REPLY_BYTES_MAX: Final = 64 * 1024 * 1024
_RESET: Final = struct.pack("ii", 1, 0)
_TEXT, _CLOSE = 1, 8
_MASK: Final = b"\x11\x22\x33\x44"


class Outcome(NamedTuple):
    """What became of a play: the status (0: none came), and whether a mark came back."""

    status: int
    echoed: bool


class CanaryClient:
    """Plays against a listener. `needle`: what tells that content came back."""

    def __init__(self, listen: str, tls: ssl.SSLContext | None, needle: bytes) -> None:
        self._address = parse_listen(listen)
        self._tls = tls
        self._needle = needle
        self._open: list[asyncio.StreamWriter] = []

    async def play(self, play: Play) -> Outcome:
        """Plays one; a connection that fails or stalls, or speaks no HTTP, is status 0."""
        try:
            async with asyncio.timeout(PLAY_SECONDS):
                return await self._play(play)
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError,
                asyncio.LimitOverrunError):
            return Outcome(0, False)

    async def _play(self, play: Play) -> Outcome:
        reader, writer = await self._connect()
        try:
            if play.manner == "half":
                writer.write(play.raw[:len(play.raw) // 2])
                await writer.drain()
                await asyncio.sleep(0.05)
                _reset(writer)
                return Outcome(0, False)
            writer.write(play.raw)
            head = await reader.readuntil(b"\r\n\r\n")
            status = int(head[9:12])
            if play.manner == "leave":
                echoed = await self._begun(reader)
                _reset(writer)
                return Outcome(status, echoed)
            if play.manner == "socket":
                return Outcome(status, await self._converse(play, status, reader, writer))
            try:
                echoed, keep = await self._read(head, reader)
            except asyncio.IncompleteReadError:  # the reply was cut, as it was asked to be
                echoed, keep = False, False
        except BaseException:
            writer.transport.abort()
            raise
        self._keep(writer, keep)
        return Outcome(status, echoed)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        address = self._address
        if address.kind == "unix":
            return await asyncio.open_unix_connection(address.path)
        return await asyncio.open_connection(
            address.host, address.port, ssl=self._tls, limit=REPLY_BYTES_MAX)

    async def _converse(
        self, play: Play, status: int, reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        """Says the text, reads for a moment what is answered, closes."""
        echoed = False
        if status == 101:
            writer.write(frame(_TEXT, play.after.encode(), _MASK))
            echoed = await self._begun(reader)
            writer.write(frame(_CLOSE, close_payload(1000), _MASK))
            await writer.drain()
        writer.close()
        return echoed

    async def _begun(self, reader: asyncio.StreamReader) -> bool:
        """Reads until content has come back, for a moment at most."""
        found = b""
        with suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_SECONDS):
                while self._needle not in found and (piece := await reader.read(4096)):
                    found += piece
        return self._needle in found

    async def _read(self, head: bytes, reader: asyncio.StreamReader) -> tuple[bool, bool]:
        """(whether content came back, whether the connection can be kept)."""
        low = head.lower()
        body = bytearray()
        if b"transfer-encoding: chunked" in low:
            while size := int(await reader.readuntil(b"\r\n"), 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readuntil(b"\r\n")
        elif b"content-length:" in low:
            length = low.partition(b"content-length:")[2].partition(b"\r\n")[0]
            body += await reader.readexactly(int(length))
        else:
            body += await reader.read()
        return self._needle in body, b"connection: close" not in low

    def _keep(self, writer: asyncio.StreamWriter, keep: bool) -> None:
        if keep and len(self._open) < OPEN_MAX:
            self._open.append(writer)
        else:
            writer.close()

    @property
    def idle(self) -> int:
        """Connections that are open and idle."""
        return len(self._open)

    async def close(self) -> None:
        """Closes what is open."""
        for writer in self._open:
            writer.close()
        for writer in self._open:
            with suppress(OSError):
                await writer.wait_closed()
        self._open.clear()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Goes away at once, as a process does that is killed."""
    sock = writer.get_extra_info("socket")
    if sock is not None:
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
