"""The tap of Gemini's streams without `alt=sse`: one JSON array, each element read as it ends.

Law: as in relay/tap.py. What is held back, where errors are looked for, is an element that has
not come whole: its first octets, or an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from relayd.core.usage import Usage
from relayd.relay.report import Report, Tap
from relayd.wire.anonymous import ERROR, HELD_BYTES_MAX, SHORT_BYTES, begins_as_error
from relayd.wire.jsonarray import ArrayReader
from relayd.wire.reply import ReplyShape
from relayd.wire.replytext import Findings

_GAPS: Final = {b"}": b",\n", b",": b"", b"[": b""}


def begins_array(data: bytes) -> bool:
    """Whether these are an array's first octets, or nothing yet that says otherwise."""
    return data[:64].lstrip()[:1] in (b"[", b"")


class ArrayTap(Tap):
    """Gemini's stream as one JSON array: each of its objects is read as it ends."""

    __slots__ = ("passes_all", "_shape", "_found", "_reader", "_last", "_instead", "_held",
                 "_sure")

    def __init__(self, shape: ReplyShape, found: Findings, object_bytes_max: int) -> None:
        self.passes_all = True
        self._shape = shape
        self._found = found
        self._reader = ArrayReader(object_bytes_max)
        self._last = b""
        self._instead: Callable[[bytes], bytes | None] | None = None
        self._held = bytearray()
        self._sure = False
        """What is held has an error in it."""

    def guard(self, instead: Callable[[bytes], bytes | None]) -> None:
        """From now on an element with an error is what `instead` makes of it, None: as it is."""
        self.passes_all = False
        self._instead = instead

    @property
    def gap(self) -> bytes | None:
        """What has to come before one more element; None inside one that the client has the
        beginning of, or after the end."""
        inside = self._reader.inside and not self._held
        return None if inside else _GAPS.get(self._last)

    def feed(self, data: bytes) -> bytes:
        """Reads the objects that end in these bytes."""
        items = self._reader.feed(data)
        for item in items:
            self._shape.read(item, self._found)
        if self._instead is not None:
            data = self._passing(data, items)
        self._last = data.rstrip()[-1:] or self._last
        return data

    def _passing(self, data: bytes, items: list[bytes]) -> bytes:
        """What of these bytes, and of those held before them, goes to the client now."""
        held, begun = self._held, self._reader.held
        if held:
            held += data
            if self._sure and len(held) == begun <= HELD_BYTES_MAX:
                return b""
            data = bytes(held)
            held.clear()
        if data.find(ERROR) >= 0:
            data = self._replaced(data, items)
        if not 0 < begun <= len(data):
            return data
        start = len(data) - begun
        self._sure = begins_as_error(data[start:], begun)
        if begun > (HELD_BYTES_MAX if self._sure else SHORT_BYTES):
            return data
        held += data[start:]
        return data[:start]

    def _replaced(self, data: bytes, items: list[bytes]) -> bytes:
        """The same bytes with what stands for those of these elements that are errors."""
        assert self._instead is not None
        end = len(data)
        passed: list[bytes] = []
        for item in reversed(items):  # from behind: the client may have the first one's beginning
            start = data.rfind(item, 0, end)
            if start >= 0:
                other = self._instead(item) if ERROR in item else None
                passed += data[start + len(item):end], item if other is None else other
                end = start
        passed.append(data[:end])
        return b"".join(reversed(passed))

    def flush(self) -> bytes:
        """What is held of an element that will never be whole; nothing of an error."""
        held = bytes(self._held)
        self._held.clear()
        return b"" if begins_as_error(held, len(held)) else held

    def finish(self, clean: bool) -> Report:
        """The report."""
        found = self._found
        reader = self._reader
        closed = self._last == b"]" and not reader.inside and found.error is None
        ended = closed or found.ended or (reader.skipped and not reader.inside)
        return Report(self._shape.usage(found), ended, found.error, not found.unreported)

    def usage_so_far(self) -> Usage | None:
        """What the provider has reported up to here."""
        return self._shape.usage(self._found)
