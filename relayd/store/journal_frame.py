"""The journal's lines as bytes: how one is framed, and how a file of them is read again.

A line is MARK, the length of its body, the CRC-32 of its body, and the body: number and kind in
one word (number << 2 | kind), then the value, a msgpack array. All integers are little-endian.
MARK's second byte is the format's version.

Law: pure. A line is read whole and with its checksum right, or not at all; reading goes on at the
next line that is whole, and every byte that belongs to none is counted.
"""

from __future__ import annotations

from struct import Struct
from typing import Final, NamedTuple
from zlib import crc32

import msgspec

OPEN: Final = 0
PROGRESS: Final = 1
CLOSE: Final = 2
NOTHING: Final = 3
"""Kinds of lines. NOTHING has no value: it is written to see whether writing works."""

MARK: Final = b"\xa5\x01"
BODY_BYTES_MAX: Final = 64 * 1024
"""Longer than any line can be: a length above it is damage."""

_HEAD: Final = Struct("<2sII")
_NUMBER: Final = Struct("<Q")
_HEAD_BYTES: Final = _HEAD.size
_NUMBER_BYTES: Final = _NUMBER.size


class Entry(NamedTuple):
    """One line that was read: its number, its kind, and its value as it was encoded."""

    number: int
    kind: int
    value: bytes


class _Identity(msgspec.Struct, array_like=True):
    """The first field of every value; what follows is skipped."""

    id: str


_identity: Final = msgspec.msgpack.Decoder(_Identity)


def frame(number: int, kind: int, value: bytes) -> bytes:
    """The bytes of one line."""
    body = _NUMBER.pack(number << 2 | kind) + value
    return _HEAD.pack(MARK, len(body), crc32(body)) + body


def identity(value: bytes) -> str:
    """The id of the call that a line is about; raises msgspec.MsgspecError for another value."""
    return _identity.decode(value).id


class Reader:
    """Reads lines from bytes that come in pieces, cut anywhere. `torn_bytes`: those of no line."""

    __slots__ = ("torn_bytes", "_held")

    def __init__(self) -> None:
        self.torn_bytes = 0
        self._held = b""

    def feed(self, data: bytes) -> list[Entry]:
        """The lines that end in these bytes."""
        buffer = self._held + data
        at, end = 0, len(buffer)
        found: list[Entry] = []
        while end - at >= _HEAD_BYTES:
            mark, length, checksum = _HEAD.unpack_from(buffer, at)
            start = at + _HEAD_BYTES
            stop = start + length
            if mark != MARK or not _NUMBER_BYTES <= length <= BODY_BYTES_MAX:
                at = self._skip(buffer, at)
                continue
            if stop > end:
                break
            body = buffer[start:stop]
            if crc32(body) != checksum:
                at = self._skip(buffer, at)
                continue
            (word,) = _NUMBER.unpack_from(body)
            found.append(Entry(word >> 2, word & 3, body[_NUMBER_BYTES:]))
            at = stop
        self._held = buffer[at:]
        return found

    def finish(self) -> list[Entry]:
        """No more bytes come: the lines behind what looked like the start of one."""
        found: list[Entry] = []
        while self._held:
            self._held = self._held[self._skip(self._held, 0):]
            found += self.feed(b"")
        return found

    def _skip(self, buffer: bytes, at: int) -> int:
        """Where the next line may begin, behind `at`."""
        following = buffer.find(MARK, at + 1)
        if following < 0:
            last = len(buffer) - 1
            following = last if at < last and buffer[last:] == MARK[:1] else len(buffer)
        self.torn_bytes += following - at
        return following
