"""Reads a JSON array of objects as it arrives: Gemini's streams without `alt=sse`.

Law: one unfinished object is held at most; time is linear in the bytes, wherever they are cut.
What is no array of objects gives nothing.
"""

from __future__ import annotations

import re
from typing import Final

OBJECT_BYTES_MAX: Final = 1024 * 1024
"""A longer object is not read."""
PART_BYTES: Final = 4096
"""Matched at a time: what a pattern notes of its way back stays in the cache."""

# sets that exclude each other: a run is tried once, so no input costs more than its length.
# No possessive groups: Python before 3.11.5 matches those wrongly (its issue 106052)
_STRING_REST: Final = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
_TO_BRACE: Final = re.compile(rb'[^{}"]*(?:"[^"\\]*(?:\\.[^"\\]*)*"[^{}"]*)*', re.DOTALL)
_OPEN: Final = 0x7B
_QUOTE: Final = 0x22


class ArrayReader:
    """The state of one array: how deep in braces, and whether inside a string."""

    __slots__ = ("_held", "_over", "_max", "_depth", "_in_string", "_escaped", "skipped")

    def __init__(self, object_bytes_max: int = OBJECT_BYTES_MAX) -> None:
        self._held = bytearray()
        self._over = False
        self._max = object_bytes_max
        self._depth = 0
        self._in_string = False
        self._escaped = False
        self.skipped = False
        """The last object was too long to be read: what it said is not known."""

    @property
    def held(self) -> int:
        """How many bytes of an unfinished object are held."""
        return len(self._held)

    @property
    def inside(self) -> bool:
        """True in the middle of an object or a string."""
        return self._depth > 0 or self._in_string

    def feed(self, chunk: bytes) -> list[bytes]:
        """Takes the next bytes and gives the objects that ended in them."""
        objects: list[bytes] = []
        if len(chunk) <= PART_BYTES:
            self._feed(chunk, objects)
        else:
            for at in range(0, len(chunk), PART_BYTES):
                self._feed(chunk[at:at + PART_BYTES], objects)
        return objects

    def _feed(self, chunk: bytes, objects: list[bytes]) -> None:
        start = 0
        place = self._string(chunk, 0) if self._in_string else 0
        while place < len(chunk):
            run = _TO_BRACE.match(chunk, place)
            place = place if run is None else run.end()
            if place == len(chunk):
                break
            byte = chunk[place]
            if byte == _QUOTE:
                place = self._string(chunk, place + 1)
                continue
            place += 1
            if byte == _OPEN:
                if self._depth == 0:
                    start = place - 1
                self._depth += 1
            elif self._depth:
                self._depth -= 1
                if self._depth == 0:
                    self._close(chunk[start:place], objects)
        if self._depth:
            self._hold(chunk[start:])

    def _string(self, chunk: bytes, start: int) -> int:
        """Goes on inside a string; the offset behind its end, or that of the chunk's."""
        if self._escaped and start < len(chunk):
            start += 1
            self._escaped = False
        rest = _STRING_REST.match(chunk, start)
        end = start if rest is None else rest.end()
        self._in_string = end == len(chunk) or chunk[end] != _QUOTE
        if not self._in_string:
            return end + 1
        if end < len(chunk):
            self._escaped = True  # a backslash is the chunk's last byte
        return len(chunk)

    def _close(self, data: bytes, objects: list[bytes]) -> None:
        self._hold(data)
        self.skipped = self._over
        if not self._over:
            objects.append(bytes(self._held))
        self._held.clear()
        self._over = False

    def _hold(self, data: bytes) -> None:
        if self._over or len(self._held) + len(data) > self._max:
            self._over = self.skipped = True
            self._held.clear()
        else:
            self._held += data
