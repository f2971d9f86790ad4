"""HTTP/1.1 read from raw streams as strictly as RFC 9112 allows, by no library that forgives.

Law: what is not exactly as a strict reader wants it raises `Garbage`; nothing is repaired.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Literal

HEAD_BYTES_MAX = 4_000_000
STREAM_BYTES_MAX = 1 << 24
TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789"
                  b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
DIGITS = frozenset(b"0123456789")
HEX = frozenset(b"0123456789abcdefABCDEF")
Fields = list[tuple[bytes, bytes]]
Ended = Literal["complete", "closed", "pending"]


class Garbage(Exception):
    """What came is not HTTP/1.1 as a strict reader wants it; says which rule it breaks."""


class Truncated(Exception):
    """The connection ended inside a message."""


@dataclass(slots=True)
class Request:
    """A request as it came. Names are lower case, in order; `raw` is every byte of it."""

    method: bytes
    target: bytes
    fields: Fields
    head: bytes
    body: bytes = b""
    raw: bytes = b""
    connection: int = 0

    def values(self, name: bytes) -> list[bytes]:
        """The values of every field of this name."""
        return [value for key, value in self.fields if key == name]


@dataclass(slots=True)
class Reply:
    """A reply as it came. `ended` says how: whole, cut by the other side, or still open."""

    status: int
    fields: Fields
    head: bytes
    body: bytes = b""
    ended: Ended = "complete"
    trailers: Fields = field(default_factory=list)

    def values(self, name: bytes) -> list[bytes]:
        """The values of every field of this name."""
        return [value for key, value in self.fields if key == name]

    def value(self, name: bytes) -> bytes:
        """The only value of a field; empty where the field is absent."""
        values = self.values(name)
        assert len(values) < 2, name
        return values[0] if values else b""

    @property
    def closes(self) -> bool:
        """Whether the sender says that it closes the connection."""
        return b"close" in [v.strip().lower() for v in self.value(b"connection").split(b",")]


def _split_head(head: bytes) -> tuple[bytes, Fields]:
    bare = head.replace(b"\r\n", b"")
    if b"\r" in bare or b"\n" in bare or b"\0" in bare:
        raise Garbage("bare CR, LF or NUL in the head")
    first, *lines = head[:-4].split(b"\r\n")
    fields = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name or not set(name) <= TOKEN:
            raise Garbage("field line")
        fields.append((name.lower(), value.strip(b" \t")))
    return first, fields


def _framing(fields: Fields) -> tuple[int | None, bool]:
    """(content length, chunked); exactly one framing, in exactly one form."""
    lengths = [value for name, value in fields if name == b"content-length"]
    codings = [value for name, value in fields if name == b"transfer-encoding"]
    if lengths and codings:
        raise Garbage("Content-Length and Transfer-Encoding")
    if codings and [c.lower() for c in codings] != [b"chunked"]:
        raise Garbage("Transfer-Encoding")
    if lengths and (len(lengths) > 1 or not lengths[0] or not set(lengths[0]) <= DIGITS):
        raise Garbage("Content-Length")
    return (int(lengths[0]) if lengths else None), bool(codings)


async def _line(reader: asyncio.StreamReader) -> bytes:
    line = await reader.readline()
    if not line.endswith(b"\n"):
        raise Truncated
    if not line.endswith(b"\r\n"):
        raise Garbage("a line that ends in bare LF")
    return line


async def _head(reader: asyncio.StreamReader) -> bytes:
    """Everything up to the empty line; empty where the connection ended before its first byte."""
    head = b""
    while True:
        line = await reader.readline()
        head += line
        if not line.endswith(b"\n"):
            if head:
                raise Truncated
            return b""
        if line in (b"\r\n", b"\n"):
            return head
        if len(head) > HEAD_BYTES_MAX:
            raise Garbage("a head without end")


async def _exactly(reader: asyncio.StreamReader, size: int) -> bytes:
    try:
        return await reader.readexactly(size)
    except asyncio.IncompleteReadError:
        raise Truncated from None


async def _chunk_size(reader: asyncio.StreamReader) -> int:
    size = (await _line(reader))[:-2]
    if not size or not set(size) <= HEX:
        raise Garbage("chunk size")
    return int(size, 16)


async def _trailers(reader: asyncio.StreamReader) -> Fields:
    section = b"\r\n"
    while (line := await _line(reader)) != b"\r\n":
        section += line
    return _split_head(section + b"\r\n")[1] if len(section) > 2 else []


async def read_request_head(reader: asyncio.StreamReader) -> Request | None:
    """The next request's head; None where the connection ended before it began."""
    head = await _head(reader)
    if not head:
        return None
    first, fields = _split_head(head)
    words = first.split(b" ")
    if len(words) != 3 or words[2] not in (b"HTTP/1.1", b"HTTP/1.0"):
        raise Garbage("request line")
    _framing(fields)
    if len([1 for name, _ in fields if name == b"host"]) != 1:
        raise Garbage("Host")
    return Request(words[0], words[1], fields, head)


async def read_request_body(reader: asyncio.StreamReader, request: Request) -> None:
    """Reads the body that the head announces into the request."""
    length, chunked = _framing(request.fields)
    if chunked:
        pieces = []
        while size := await _chunk_size(reader):
            pieces.append(await _exactly(reader, size))
            if await _exactly(reader, 2) != b"\r\n":
                raise Garbage("chunk end")
        if await _trailers(reader):
            raise Garbage("trailers in a request")
        request.body = b"".join(pieces)
    elif length:
        request.body = await _exactly(reader, length)


async def read_reply(
    reader: asyncio.StreamReader, method: bytes = b"POST", *,
    first_seconds: float = 15.0, hold_seconds: float = 15.0,
) -> Reply | None:
    """The next reply; None where the connection ended before it began.

    `first_seconds` bounds the wait for its head (TimeoutError after it), `hold_seconds` each wait
    within its body, after which the reply is `pending`. Raises Garbage; a reset counts as an end.
    """
    async with asyncio.timeout(first_seconds):
        try:
            head = await _head(reader)
        except Truncated:
            raise Garbage("the connection ended inside a head") from None
    if not head:
        return None
    first, fields = _split_head(head)
    if not first.startswith(b"HTTP/1.1 ") or not first[9:12].isdigit() or first[12:13] != b" ":
        raise Garbage("status line")
    reply = Reply(int(first[9:12]), fields, head)
    if reply.status < 200 or reply.status in (204, 304) or method == b"HEAD":
        return reply
    try:
        await _read_body(reader, reply, hold_seconds)
    except TimeoutError:
        reply.ended = "pending"
    except (Truncated, ConnectionError):
        reply.ended = "closed"
    return reply


async def _read_body(reader: asyncio.StreamReader, reply: Reply, hold_seconds: float) -> None:
    length, chunked = _framing(reply.fields)
    while chunked:
        async with asyncio.timeout(hold_seconds):
            size = await _chunk_size(reader)
            if not size:
                reply.trailers = await _trailers(reader)
                return
        await _read_some(reader, reply, size, hold_seconds)
        async with asyncio.timeout(hold_seconds):
            if await _exactly(reader, 2) != b"\r\n":
                raise Garbage("chunk end")
    await _read_some(reader, reply, length, hold_seconds)


async def _read_some(
    reader: asyncio.StreamReader, reply: Reply, size: int | None, hold_seconds: float
) -> None:
    """Appends `size` octets to the body, or all up to the end where it is None."""
    pieces = [reply.body]
    try:
        while size is None or size > 0:
            async with asyncio.timeout(hold_seconds):
                data = await reader.read(65536 if size is None else min(size, 65536))
            if not data:
                if size is None:
                    return
                raise Truncated
            pieces.append(data)
            size = None if size is None else size - len(data)
    finally:
        reply.body = b"".join(pieces)
