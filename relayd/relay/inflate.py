"""Replies that a provider has compressed although it was asked not to: read as what they hold.

Law: they pass as they came; what is inflated is bounded, and kept nowhere. What cannot be inflated
is not read, and fails nothing.
"""

from __future__ import annotations

import zlib
from typing import Final

import msgspec

from relayd.core.usage import Usage
from relayd.relay.report import Report, Tap
from relayd.wire.replyhead import ReplyHead

STEP_BYTES: Final = 64 * 1024
"""Inflated at a time."""
RATIO_MAX: Final = 32
ROOM_BYTES: Final = 1024 * 1024
"""What grows to more than so many times its size, beyond this, is not read: text grows to ten
times, and 64 KiB of a bomb to 64 MiB, all of it on the loop."""
WINDOWS: Final = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}
"""zlib's `wbits` for each content coding that is undone here, of bodies too (relay/receive.py)."""


def coding_of(head: ReplyHead) -> bytes | None:
    """How a reply is encoded, where that can be undone here."""
    coding = None
    for name, value in head.fields:
        if name == b"content-encoding":
            coding = value if coding is None else b""  # of two codings none is undone
    return coding if coding in WINDOWS else None


def inflated(head: ReplyHead, data: bytes, limit: int) -> bytes:
    """The first octets of what is inside a compressed reply; b"" where it cannot be known."""
    coding = coding_of(head)
    if coding is None:
        return b""
    try:
        return zlib.decompressobj(wbits=WINDOWS[coding]).decompress(data, limit)
    except zlib.error:
        return b""


class InflatingTap(Tap):
    """Hands what is inside to the tap that reads it, up to `limit` bytes of it."""

    __slots__ = ("_inner", "_inflater", "_left", "_room", "_beyond")

    def __init__(self, inner: Tap, coding: bytes, limit: int) -> None:
        self._inner = inner
        self._inflater = zlib.decompressobj(wbits=WINDOWS[coding])
        self._left = limit
        self._room = ROOM_BYTES
        self._beyond = False
        """More came behind the end of what is compressed; it is not read."""

    def feed(self, data: bytes) -> bytes:
        """Reads these bytes."""
        if self._inflater.eof:
            self._beyond = True
            return data
        rest, more = data, True
        self._room += RATIO_MAX * len(data)
        while more and self._left > 0:
            try:
                inside = self._inflater.decompress(rest, STEP_BYTES)
            except zlib.error:
                self._left = 0
                break
            self._room -= len(inside)
            self._left = -1 if self._room < 0 else self._left - len(inside)
            if inside and self._left >= 0:
                self._inner.feed(inside)
            rest = self._inflater.unconsumed_tail
            more = bool(rest) or len(inside) == STEP_BYTES
        return data

    def finish(self, clean: bool) -> Report:
        """The report of what was inside. Where not all of that could be read, an end that its
        framing calls clean is the end; what ended inside itself is not whole."""
        whole = clean and self.whole
        found = self._inner.finish(whole)
        half = clean and self._left > 0 and not self._inflater.eof
        if half or whole and not self._beyond and not self._inflater.unused_data:
            return found
        return msgspec.structs.replace(found, ended=clean)

    @property
    def whole(self) -> bool:
        """Whether all that was inside has been read."""
        return self._inflater.eof and self._left >= 0

    def usage_so_far(self) -> Usage | None:
        """What the provider has reported up to here."""
        return self._inner.usage_so_far()
