"""The tap: reads one reply as it passes, and holds back the usage event that the relay asked for.

Law: nothing is altered. A tap gives back what it is fed, but for one kind of event where it is
told so. It keeps no text: what it finds goes to the counter at once, and its report is figures.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, Literal

from relayd.core.usage import Usage
from relayd.relay.arraytap import ArrayTap
from relayd.relay.report import Report, Tap
from relayd.relay.soundtap import SoundTap
from relayd.relay.wordstap import WordsTap
from relayd.wire.dialect import Endpoint
from relayd.wire.reply import SHAPES, ReplyShape
from relayd.wire.replytext import Findings, TextSink
from relayd.wire.sse import EVENT_BYTES_MAX, PLAIN_EVENTS, Event, EventReader

__all__ = ["ArrayTap", "Report", "Tap", "read_whole", "tap_for", "usage_in_error"]

BATCH_READS: Final = 16
BATCH_BYTES: Final = 4096
"""A longer read is not kept waiting: a batch holds 64 KiB at most, a few KiB usually."""
_LINE_FEED: Final = b"\n"
_USAGE: Final = b'"usage"'
_NULL: Final = b":null"
_begins_events: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:data|event|id|retry)?:").match


class EventTap(Tap):
    """An event stream that is passed on whole."""

    __slots__ = ("_shape", "_found", "_reader", "_read", "_dull", "at_boundary")

    def __init__(self, shape: ReplyShape, found: Findings, event_bytes_max: int) -> None:
        self._shape = shape
        self._read = shape.read
        self._dull = shape.dull if found.sink is None else None
        self._found = found
        self._reader = EventReader(
            event_bytes_max, self._dull, shape.telling if self._dull else PLAIN_EVENTS)
        self.at_boundary = True

    def feed(self, data: bytes) -> bytes:
        """Reads the events that end in these bytes."""
        dull = self._dull
        reader = self._reader
        if dull is not None and self.at_boundary and dull.fullmatch(data) is not None:
            reader.unread = False
            return data
        text = reader.feed_single(data)
        if text is not None:
            self._read(text, self._found)
            self.at_boundary = True
            return data
        texts = reader.feed_plain(data)
        if texts is not None:
            for text in texts:
                self._read(text, self._found)
            self.at_boundary = True
            return data
        for event in reader.feed(data):
            self._event(event)
        self.at_boundary = reader.at_boundary
        return data

    read_whole = feed  # for whole events that pass as they are, in a tap that withholds too

    @property
    def is_clear(self) -> bool:
        """True where nothing is left of an event that came before."""
        return not self._reader.held and self.at_boundary

    def _event(self, event: Event) -> bool:
        """Reads one event. True where it does nothing but report usage."""
        if event[0] == b"error":
            self._found.fail()
        return self._read(event[1], self._found)

    def finish(self, clean: bool) -> Report:
        """The report; a last event without its empty line is read if the end is clean."""
        last = self._reader.close()
        if clean and last is not None:
            self._event(last)
        found = self._found
        ended = (found.ended or self._reader.may_have_ended
                 or found.open_ended and clean and last is None)
        return Report(self._shape.usage(found), ended, found.error, not found.unreported)

    def usage_so_far(self) -> Usage | None:
        """What the provider has reported up to here."""
        return self._shape.usage(self._found)


class WithholdingTap(EventTap):
    """An event stream whose usage-only events are withheld.

    An event passes when it is whole. One that is too long to be read passes as it comes.
    """

    __slots__ = ("_held", "_drop_line_feed")

    passes_all = False

    def __init__(self, shape: ReplyShape, found: Findings, event_bytes_max: int) -> None:
        super().__init__(shape, found, event_bytes_max)
        self._held: list[bytes] = []
        self._drop_line_feed = False

    @property
    def is_clear(self) -> bool:
        """True where nothing is left of an event that came before, not even its line feed."""
        return not self._reader.held and not self._drop_line_feed and self.at_boundary

    def feed(self, data: bytes) -> bytes:
        """Gives the whole events, less those withheld: the same object where that is all of it."""
        reader = self._reader
        held_before = reader.held
        if not held_before and not self._drop_line_feed:
            text = reader.feed_single(data)
            if text is not None:
                self.at_boundary = True
                return b"" if self._read(text, self._found) else data
        withheld = [event for event in reader.feed(data) if self._event(event)]
        held = reader.held
        if not held_before and not held and not withheld and not self._drop_line_feed:
            self.at_boundary = reader.at_boundary
            return data
        if held == held_before + len(data):
            self._held.append(data)
            return b""
        return self._release(data, withheld)

    def _release(self, data: bytes, withheld: list[Event]) -> bytes:
        reader = self._reader
        pieces = self._held
        pieces.append(data)
        data = b"".join(pieces)
        end = len(data) - reader.held
        self._held = [data[end:]] if reader.held else []
        out = []
        start = 1 if self._drop_line_feed and data[:1] == _LINE_FEED else 0
        for event in withheld:
            out.append(data[start:event[2]])
            start = event[3]
        out.append(data[start:end])
        self._drop_line_feed = bool(withheld) and start == len(data) and reader.split_crlf
        passed = b"".join(out)
        self.at_boundary = reader.held > 0 or reader.at_boundary
        return passed

    def flush(self) -> bytes:
        """The unfinished event, unless it would have been withheld."""
        data = b"".join(self._held)
        self._held = []
        last = self._reader.close()
        if last is not None and self._event(last):
            return b""
        if data:
            self.at_boundary = False
        return data


class BatchTap(Tap):
    """An event stream that is read a few events at a time.

    Between two reads of a socket the processor forgets the code that reads events; read sixteen
    at once they cost half. What waits is bounded, and is read before anybody asks.

    `chunks` are reads that wait with their framing, all of which came after the others.
    """

    __slots__ = ("_inner", "_read", "_waiting", "_withholds", "passes_all", "chunks")

    def __init__(self, inner: EventTap) -> None:
        self.passes_all = inner.passes_all
        self._inner = inner
        self._read = inner.read_whole
        self._waiting: list[bytes] = []
        self.chunks: list[bytes] = []
        self._withholds = isinstance(inner, WithholdingTap)

    @property
    def at_boundary(self) -> bool:  # type: ignore[override]
        """True where the client is between two events."""
        self.drain()
        return self._inner.at_boundary

    def feed(self, data: bytes) -> bytes:
        """Takes the next bytes; gives what the client gets of them."""
        if self.chunks:
            self.drain()
        if self._withholds and not self.is_harmless(data, b"\n\n"):
            self.drain()
            return self._inner.feed(data)
        self._waiting.append(data)
        if len(self._waiting) >= BATCH_READS or len(data) > BATCH_BYTES:
            self.drain()
        return data

    def is_harmless(self, data: bytes, end: bytes) -> bool:
        """Whether these are whole events none of which can be the one to withhold."""
        if not data.endswith(end) or not (
                self._waiting or self.chunks or self._inner.is_clear):
            return False
        at = data.find(_USAGE)
        return at < 0 or (
            data.startswith(_NULL, at + len(_USAGE)) and data.find(_USAGE, at + 1) < 0)

    def drain(self) -> None:
        """Reads what waits."""
        read, waiting, chunks = self._read, self._waiting, self.chunks
        if waiting:
            for data in waiting:
                read(data)
            waiting.clear()
        if chunks:
            for data in chunks:
                read(data[data.find(b"\n") + 1:-2])
            chunks.clear()

    def flush(self) -> bytes:
        """What was held back."""
        self.drain()
        return self._inner.flush()

    def finish(self, clean: bool) -> Report:
        """The report of all."""
        self.drain()
        return self._inner.finish(clean)

    def usage_so_far(self) -> Usage | None:
        """What the provider has reported up to here."""
        self.drain()
        return self._inner.usage_so_far()


class JsonTap(Tap):
    """A JSON reply: gathered up to a limit and read once, when it has come whole.

    Above the limit it is let go: it passes all the same, and has no usage. An event stream that
    does not call itself one is read here too.
    """

    __slots__ = ("_shape", "_found", "_pieces", "_room")

    def __init__(self, shape: ReplyShape, found: Findings, limit: int) -> None:
        self._shape = shape
        self._found = found
        self._pieces: list[bytes] = []
        self._room = limit

    def feed(self, data: bytes) -> bytes:
        """Gathers these bytes."""
        self._room -= len(data)
        if self._room >= 0:
            self._pieces.append(data)
        else:
            self._pieces.clear()
        return data

    def finish(self, clean: bool) -> Report:
        """Reads the reply; a broken one is not read."""
        shape, found = self._shape, self._found
        pieces, self._pieces = self._pieces, []
        ended = clean
        if clean and self._room >= 0:
            ended = _read_json(shape, found, pieces[0] if len(pieces) == 1 else b"".join(pieces))
        return Report(shape.usage(found), ended, found.error, not found.unreported)


def _read_json(shape: ReplyShape, found: Findings, data: bytes) -> bool:
    """Reads a whole reply; False where it is a stream of events, and its last one is missing."""
    shape.read(data, found)
    if found.usage is not None or not _begins_events(data):
        return True
    found.whole = False
    events = EventTap(shape, found, max(len(data), EVENT_BYTES_MAX))
    events.feed(data)
    return events.finish(True).ended


def usage_in_error(endpoint: Endpoint, body: bytes) -> Usage | None:
    """The usage that an error's body reports, where some providers bill what failed."""
    shape = SHAPES.get(endpoint.operation)
    if shape is None:
        return None
    found = Findings(whole=True)
    shape.read(body, found)
    return shape.usage(found)


def tap_for(
    endpoint: Endpoint, content_type: bytes, status: int, *,
    withhold_usage: bool, counter: TextSink | None, limit: int,
) -> Tap:
    """The tap for one reply, by its endpoint and media type.

    `limit` bounds what is gathered of a JSON reply, and one event of a stream that may be long.
    Text goes to `counter`. What does not say what it is is taken for what its endpoint gives.
    """
    shape = SHAPES.get(endpoint.operation)
    if shape is None or status >= 400:
        return Tap()
    media = _media(content_type)
    most = max(limit, EVENT_BYTES_MAX) if shape.long else EVENT_BYTES_MAX
    if media == "events":
        found = Findings(counter)
        events = (WithholdingTap if withhold_usage else EventTap)(
            shape, found, limit if shape.large else most)
        return events if shape.large else BatchTap(events)
    if media == "text" and shape.words:
        return WordsTap(Findings(counter, True))
    if media != "json" and shape.sound:
        return SoundTap() if media == "other" else Tap()
    if endpoint.operation == "stream_generate":  # it finds the objects of events too
        return ArrayTap(shape, Findings(counter), most)
    return JsonTap(shape, Findings(counter, True), limit)


def read_whole(
    endpoint: Endpoint, content_type: bytes, data: bytes, counter: TextSink | None, limit: int,
) -> Report:
    """What the tap for it would report of a reply of status 200 that has come whole."""
    operation = endpoint.operation
    shape = SHAPES.get(operation)
    if shape is None or _media(content_type) != "json" or operation == "stream_generate":
        tap = tap_for(endpoint, content_type, 200, withhold_usage=False, counter=counter,
                      limit=limit)
        tap.feed(data)
        return tap.finish(True)
    found = Findings(counter, True)
    ended = len(data) > limit or _read_json(shape, found, data)
    return Report(shape.usage(found), ended, found.error, not found.unreported)


@lru_cache(maxsize=256)
def _media(content_type: bytes) -> Literal["json", "events", "text", "other"]:
    kind = content_type.partition(b";")[0].strip().lower()
    if kind == b"text/event-stream":
        return "events"
    if kind == b"application/json" or kind.endswith(b"+json"):
        return "json"
    return "text" if kind.startswith(b"text/") or kind == b"application/x-subrip" else "other"
