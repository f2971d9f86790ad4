"""The journal's lines as bytes: how one is framed, and how a file of them is read again.

A line is MARK, the length of its value, a checksum, number and kind in one word (number << 2 |
kind), and the value, a msgpack array. All integers are little-endian. The checksum is the CRC-32
of the value, begun with the two halves of the word. MARK's second byte is the format's version.
Behind the last line there may be zeros: room that was not written to.

Law: pure. A line is read whole and with its checksum right, or not at all; reading goes on at the
next line that is whole, and every byte that belongs to none is counted, but for those zeros.
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
VALUE_BYTES_MAX: Final = 64 * 1024
"""Longer than any value can be: a length above it is damage."""

_HEAD: Final = Struct("<2sIIQ")
_HEAD_BYTES: Final = _HEAD.size
pack_head: Final = _HEAD.pack
"""For who frames lines in place. (crc32 takes the low half of what it is begun with.)"""


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
    """The bytes of one line (journal_files.py does the same in place)."""
    word = number << 2 | kind
    return pack_head(MARK, len(value), crc32(value, word ^ word >> 32), word) + value


def identity(value: bytes) -> str:
    """The id of the call that a line is about; raises msgspec.MsgspecError for another value."""
    return _identity.decode(value).id


class Reader:
    """Reads lines from bytes that come in pieces, cut anywhere.

    `torn_bytes`: those of no line, but for zeros at the end of all.
    """

    __slots__ = ("torn_bytes", "_held", "_zeros")

    def __init__(self) -> None:
        self.torn_bytes = 0
        self._zeros = 0
        self._held = b""

    def feed(self, data: bytes) -> list[Entry]:
        """The lines that end in these bytes."""
        buffer = self._held + data
        at, end = 0, len(buffer)
        found: list[Entry] = []
        while end - at >= _HEAD_BYTES:
            mark, length, checksum, word = _HEAD.unpack_from(buffer, at)
            start = at + _HEAD_BYTES
            stop = start + length
            if mark != MARK or not 0 < length <= VALUE_BYTES_MAX:
                at = self._skip(buffer, at)
                continue
            if stop > end:
                break
            value = buffer[start:stop]
            if crc32(value, word ^ word >> 32) != checksum:
                at = self._skip(buffer, at)
                continue
            self.torn_bytes += self._zeros
            self._zeros = 0
            found.append(Entry(word >> 2, word & 3, value))
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
        torn = len(buffer[at:following].rstrip(b"\0"))
        if torn:
            self.torn_bytes += self._zeros + torn
            self._zeros = 0
        self._zeros += following - at - torn
        return following
