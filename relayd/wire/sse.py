"""Reads an event stream as it arrives: which events are whole, and where each one ended.

Law: the reader takes bytes cut anywhere, holds one unfinished event at most, and alters nothing.
Source: HTML Living Standard, 9.2 "Server-sent events" (lines end with LF, CRLF or CR; an empty
line ends an event; a leading byte order mark and comment lines mean nothing).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

Event = tuple[bytes, bytes, int, int]
"""Name (b"" where none is given or none matters), data, and where the event lies: start and end,
as offsets into the bytes that were held before this `feed`, followed by the fed ones. The end is
behind the empty line; comment lines directly before the data belong to the event."""

EVENT_BYTES_MAX: Final = 1024 * 1024
"""A longer event is not read. Its bytes are nobody's to hold back: `held` is 0 inside it."""

EVENT_END: Final = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r(?!\n))")
"""Two line ends in a row, of which CR LF is never two."""
_PLAIN: Final = rb"(?:event: (?!error)[^\n]*\n)?data: ([^\n]*)"
# behind what fits comes all that does not: so each match begins where the one before has ended
_EVENTS: Final = rb"(?:%b)\n\n|[\s\S]+"
_EMPTY_LINES: Final = re.compile(rb"[\r\n]*")
_BOM: Final = b"\xef\xbb\xbf"
_LF: Final = 0x0A
_CR: Final = 0x0D
REACH: Final = 3
"""Bytes before a chunk that an event's end inside the chunk can begin in."""


def plain_events(dull: Iterable[str] = ()) -> re.Pattern[bytes]:
    """Finds the data of plain events, whose lines end with LF; no data of those named in `dull`.

    Where other bytes come among them the last thing that it finds is empty.
    """
    named = b"|".join(re.escape(name).encode() for name in dull)
    skipped = rb"event: (?:%b)\ndata: [^\n]*|" % named if named else b""
    return re.compile(_EVENTS % (skipped + _PLAIN))


PLAIN_EVENTS: Final = plain_events()


class EventReader:
    """The state of one stream."""

    __slots__ = ("_held", "_over", "_first", "_max", "_dull", "_plain", "unread", "split_crlf",
                 "skipped")

    def __init__(
        self, event_bytes_max: int = EVENT_BYTES_MAX, dull: re.Pattern[bytes] | None = None,
        plain: re.Pattern[bytes] = PLAIN_EVENTS,
    ) -> None:
        """`dull` matches whole events, one or more, that are left out where they come whole.

        It is asked where all lines end with LF. `plain` finds the others, by `plain_events`.
        """
        self._dull = dull
        self._plain = plain
        self._held = bytearray()
        self._over = False
        self._first = True
        self._max = event_bytes_max
        self.unread = False
        """The last event that came was too long to be read. Whoever lets one pass by resets it."""
        self.skipped = False
        """An event was too long to be read: what it said is not known."""
        self.split_crlf = False
        """True where the last event ended with a CR whose LF may come first in the next chunk."""

    @property
    def held(self) -> int:
        """How many of the last bytes belong to an event that is unfinished and still read."""
        return 0 if self._over else len(self._held)

    @property
    def at_boundary(self) -> bool:
        """True between events: nothing of an unfinished one has come."""
        return not self._held

    @property
    def may_have_ended(self) -> bool:
        """Whether the stream's last event may be one too long to be read, which is whole."""
        return self.unread and not self._over

    def feed_single(self, chunk: bytes) -> bytes | None:
        """The data of a chunk that is one plain event, as nearly all are; else None: `feed` it.

        An event named `error` is not plain. Where data is given, the chunk has been fed.
        """
        if self._held or len(chunk) > self._max:
            return None
        data = _plain(chunk)
        if data is not None:
            self._first = self.split_crlf = self.unread = False
        return data

    def feed_plain(self, chunk: bytes) -> list[bytes] | None:
        """The data of a chunk of plain events alone, as `feed_single`; else None: `feed` it."""
        if self._held or self._over or len(chunk) > self._max or chunk[-2:] != b"\n\n":
            return None
        if _CR in chunk:
            return None
        found: list[bytes] = self._plain.findall(chunk)
        if not found[-1]:
            return None
        self._first = self.split_crlf = self.unread = False
        return list(filter(None, found))

    def feed(self, chunk: bytes) -> list[Event]:
        """Takes the next bytes and gives the events that ended in them; those without data not."""
        if not chunk:
            return []
        if self._held:
            return self._feed_held(chunk)
        start = 1 if self.split_crlf and chunk[0] == _LF else 0
        self.split_crlf = False
        return self._feed_whole(chunk, start, 0)

    def close(self) -> Event | None:
        """The stream has ended: the event whose empty line never came, if it has data."""
        held = self.held
        event = self._event(bytes(self._held), 0) if held else None
        self._held.clear()
        return event

    def _feed_held(self, chunk: bytes) -> list[Event]:
        held = self._held
        size = self.held
        near = bytes(held[-REACH:])
        window = near + chunk
        end = _find_end(window, 0, _line_ends(window))
        if end < 0:
            self._hold(chunk)
            return []
        end -= len(near)
        events: list[Event] = []
        if self._over or len(held) + end > self._max:
            self.skipped = self.unread = True
        else:
            held += chunk[:end]
            event = self._event(bytes(held), 0)
            if event is not None:
                self.unread = False
                events.append(event)
        held.clear()
        self._over = self._first = False
        return events + self._feed_whole(chunk, end, size)

    def _feed_whole(self, chunk: bytes, start: int, base: int) -> list[Event]:
        """Reads from an event boundary at `start`; `base` bytes were held before this chunk."""
        ends = _line_ends(chunk)
        dull = self._dull if ends == b"\n\n" else None
        events: list[Event] = []
        size = len(chunk)
        while start < size:
            if dull is not None and (run := dull.match(chunk, start)) is not None:
                start = run.end()
                self._first = self.unread = False
                continue
            if chunk[start] in b"\r\n":
                empty = _EMPTY_LINES.match(chunk, start)
                start = start if empty is None else empty.end()
                self._first = False
                continue
            end = _find_end(chunk, start, ends)
            if end < 0:
                self._hold(chunk[start:])
                return events
            if end - start > self._max:
                self.skipped = self.unread = True
            elif (event := self._event(chunk[start:end], base + start)) is not None:
                self.unread = False
                events.append(event)
            self._first = False
            start = end
        self.split_crlf = chunk[-1] == _CR
        return events

    def _hold(self, data: bytes) -> None:
        held = self._held
        if not self._over and len(held) + len(data) <= self._max:
            held += data
            return
        self._over = self.skipped = self.unread = True
        self._held = (held[-REACH:] + data)[-REACH:]

    def _event(self, block: bytes, start: int) -> Event | None:
        end = start + len(block)
        data = _plain(block)
        if data is not None:
            return (b"", data, start, end) if data else None
        if self._first:
            block = block.removeprefix(_BOM)
        if b"\r" in block:
            block = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        name = b""
        for line in block.split(b"\n"):
            if line[:5] == b"data:":
                value = line[6:] if line[5:6] == b" " else line[5:]
            elif line[:6] == b"event:":
                name = line[7:] if line[6:7] == b" " else line[6:]
                continue
            elif line == b"data":
                value = b""
            else:
                continue
            data = value if data is None else b"%b\n%b" % (data, value)
        return (name, data, start, end) if data else None


def _plain(block: bytes) -> bytes | None:
    """The data of one event in the usual form: a data line, perhaps after an event line.

    None for all other bytes, and for an event named `error`: the name of no other one matters.
    """
    start = 0
    line_end = block.find(b"\n")
    if block[:7] == b"event: ":
        if block[7:12] == b"error":
            return None
        start = line_end + 1
        line_end = block.find(b"\n", start)
    if block[start:start + 6] != b"data: ":
        return None
    size = len(block)
    if line_end == size - 2 and block[-1] == _LF and _CR not in block:
        return block[start + 6:-2]
    if line_end == size - 3 and block[-4:] == b"\r\n\r\n" and block.find(b"\r") == size - 4:
        return block[start + 6:-4]
    return None


def _line_ends(window: bytes) -> bytes:
    """What ends an event where all lines end alike: two LF or two CR LF; else b""."""
    if b"\r" not in window:
        return b"\n\n"
    pairs = window.count(b"\r\n")
    if pairs == window.count(b"\r") == window.count(b"\n"):
        return b"\r\n\r\n"
    return b""


def _find_end(window: bytes, start: int, ends: bytes) -> int:
    """The offset behind the first event's end from `start` on, -1 where there is none."""
    if ends:
        found = window.find(ends, start)
        return found if found < 0 else found + len(ends)
    match = EVENT_END.search(window, start)
    return -1 if match is None else match.end()
