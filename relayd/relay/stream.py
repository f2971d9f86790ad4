"""One reply on its way from its attempt to the client: byte for byte, by direct call.

Law: a chunk is written to the client before it is looked at, unless the relay has to withhold
the usage event that it asked for itself, an error is in it, which may name the operator, or it is
a stream's last: a stream without its own last event is never ended cleanly. Nothing is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relayd.core.errors import RelayError
from relayd.core.usage import Usage
from relayd.relay.arraytap import ArrayTap, begins_array
from relayd.relay.exchange import Exchange
from relayd.relay.tap import BATCH_BYTES, BATCH_READS, BatchTap, Report, Tap
from relayd.relay.upstream import Attempt
from relayd.wire.anonymous import ERROR, ErrorGuard
from relayd.wire.shapes import array_error, heartbeat

if TYPE_CHECKING:
    from relayd.relay.plane import Plane

_LAST_CHUNK: Final = b"0\r\n\r\n"
_LF: Final = 0x0A
_WITH_LAST_EVENT: Final = frozenset({
    "chat", "completions", "responses", "messages", "stream_generate", "image_generation",
    "image_edit", "speech", "transcription"})
"""Operations whose streams say themselves that they are whole, at every provider."""


def in_chunks(data: bytes) -> bytes:
    """The rest of a body in the chunked coding, to its end."""
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data) if data else _LAST_CHUNK


def is_cut_short(exchange: Exchange, report: Report) -> bool:
    """Whether a stream that ended cleanly has not had its dialect's last event."""
    if report.ended or report.error is not None or not exchange.stream:
        return False
    endpoint = exchange.target.endpoint
    return endpoint is not None and endpoint.operation in _WITH_LAST_EVENT


def guard_of(exchange: Exchange) -> ErrorGuard:
    """The guard of an event stream's errors."""
    endpoint = exchange.target.endpoint
    return ErrorGuard(
        exchange.target.api, "" if endpoint is None else endpoint.operation,
        exchange.policy.secrets.get(exchange.provider or "", ()), exchange.id)


class Stream:
    """The state of one copy. `on_data` is the attempt's sink."""

    __slots__ = ("_plane", "_exchange", "_attempt", "_tap", "_feed", "_passes_all", "_head",
                 "_chunked", "done", "is_event_stream", "_connection", "_heartbeat", "_beaten",
                 "sent", "_report", "cut_short", "_holds", "_held", "_batch",
                 "_chunks", "_turn", "_guard", "_fast", "_is_array",
                 "_is_coded")

    def __init__(self, plane: Plane, exchange: Exchange, attempt: Attempt, tap: Tap,
                 head: bytes) -> None:
        assert attempt.head is not None
        content_type = attempt.head.content_type
        self._plane = plane
        self._exchange = exchange
        self._attempt = attempt
        self._tap = tap
        self._feed = tap.feed
        self._passes_all = tap.passes_all
        self._head = head
        self._batch = tap if isinstance(tap, BatchTap) else None
        self._chunks = tap.chunks if isinstance(tap, BatchTap) else []
        self._turn = plane.turn
        self._connection = exchange.connection
        self._chunked = attempt.head.length is None and exchange.head.minor == 1
        self._guard: ErrorGuard | None = None
        self._fast = False
        """The reply has begun, is sent in chunks, and nothing of it is held back."""
        self.done = False
        self.sent = 0
        self.is_event_stream = (
            content_type.startswith(b"text/event-stream") and not attempt.head.coded)
        self._is_array = False
        self._is_coded = attempt.head.coded and attempt.head.length is None
        endpoint = exchange.target.endpoint
        self._report: Report | None = None
        self.cut_short = False
        """The provider ended its stream cleanly, but without the dialect's last event."""
        self._holds = plane.meter.waits
        self._held = b""
        self._heartbeat = b""
        self._beaten = 0.0
        if self.is_event_stream and endpoint is not None:
            self._heartbeat = heartbeat(exchange.target.api, endpoint.operation)

    def on_data(self, data: bytes, complete: bool) -> None:
        """One read of the provider's: written, then looked at."""
        connection = self._connection
        if complete or not self._fast or (
                self.is_event_stream and (data[-1] != _LF or data.find(ERROR) >= 0)):
            self._on_other(data, complete)
        elif self._passes_all:
            connection.write(b"%x\r\n%b\r\n" % (len(data), data))
            self._feed(data)
        elif data := self._feed(data):
            self._write(data, False)  # what was held back before may have an error in it
        if connection.write_paused and not complete:
            self._attempt.pause()

    def on_chunk(self, chunk: bytes) -> None:
        """A read that is one chunk, framed as it is written here: it passes as it came."""
        connection = self._connection
        batch = self._batch
        assert batch is not None
        if chunk[-3] != _LF or chunk.find(ERROR) >= 0 or (  # `in` takes half as long again
                not self._passes_all and not batch.is_harmless(chunk, b"\n\n\r\n")):
            self.on_data(chunk[chunk.find(b"\n") + 1:-2], False)
            return
        if connection.lost or self._turn.due:
            connection.write(chunk)
        else:
            connection.transport.write(chunk)
        chunks = self._chunks
        chunks.append(chunk)
        if len(chunks) >= BATCH_READS or len(chunk) > BATCH_BYTES:
            batch.drain()
        if connection.write_paused:
            self._attempt.pause()

    def _on_other(self, data: bytes, complete: bool) -> None:
        """The first read, the last one, those with an error or an event's begin in them, and
        those of replies that are not sent in chunks."""
        if self.sent == 0:
            self._exchange.first_byte = self._plane.now()
            self.sent = 1
            self._is_array = isinstance(self._tap, ArrayTap) and begins_array(data)
            self._hurry(self._chunked)
        if complete and (self.is_event_stream or self._is_array or self._is_coded):
            self._end(data)
        elif self._passes_all:
            self._write(data, complete)
            if data:
                self._feed(data)
        else:
            data = self._feed(data) if data else data
            self._write(data + self._tap.flush() if complete else data, complete)
        if complete:
            self.done = True
            self._attempt.wake()

    def _end(self, data: bytes) -> None:
        """The last read of a stream, looked at first: only what is whole ends cleanly."""
        if data:
            data = self._feed(data)
        if self._is_array and is_cut_short(self._exchange, self.report(True)):
            self._cut(data)  # an error stands for what is held of an element
            return
        data += self._tap.flush()
        if is_cut_short(self._exchange, self.report(True)):
            self._cut(data)
        else:
            self._write(data, True)

    def end_cut(self, data: bytes, report: Report) -> None:
        """The same for a stream that came whole, has been looked at, and is cut short."""
        self._report = report
        self._cut(data)

    def _cut(self, data: bytes) -> None:
        self.cut_short = True
        begun = b"{" if self._is_array else b"data:"
        if self._is_coded:  # nothing can be put into it
            self._send(data, False)
        elif not self._head or begun in data:  # else it is no stream at all
            self._send(data if self._is_array else self._guarded(data, True), False)

    def _write(self, data: bytes, complete: bool) -> None:
        """Sends what the provider said."""
        if self.is_event_stream and (
                self._guard is not None or data[-1:] != b"\n" or ERROR in data):
            data = self._guarded(data, complete)
        self._send(data, complete)

    def _send(self, data: bytes, complete: bool) -> None:
        if self._chunked:
            if complete:
                data = in_chunks(data)
            elif data:
                data = b"%x\r\n%b\r\n" % (len(data), data)
        if self._head:
            data = self._head + data
            self._head = b""
        if not complete:
            if data:
                self._connection.write(data)
        elif self._holds:
            self._held = data
        elif data:
            self._connection.write_whole(data)

    def _guarded(self, data: bytes, complete: bool) -> bytes:
        guard = self._guard
        if guard is None:
            guard = self._guard = guard_of(self._exchange)
        data = guard.passing(data, complete)
        if not complete:
            self._hurry(self._chunked and not guard.holds)
        return data

    def _hurry(self, may: bool) -> None:
        self._fast = may
        passes = may and self._batch is not None and self._connection.plain
        self._attempt.passage = self.on_chunk if passes else None

    def release(self) -> None:
        """Writes what was held back until the journal is on disk."""
        self._connection.write(self._held)

    @property
    def begun(self) -> bool:
        """True once the head has gone to the client."""
        return not self._head

    def send_head(self) -> None:
        """Sends the head alone, where no body byte has come with it."""
        if self._head:
            self._connection.write(self._head)
            self._head = b""

    def keep_alive(self, now: float, last_heard: float) -> None:
        """Sends a heartbeat where the provider has been silent and the dialect allows it."""
        every = self._exchange.policy.server.heartbeat_seconds
        if not every or not self._heartbeat or now - max(last_heard, self._beaten) < every:
            return
        if self._tap.at_boundary and not self._connection.write_paused:
            self._beaten = now
            self._send(self._heartbeat, False)

    def end_array(self, error: RelayError) -> None:
        """Writes an error as the last element of a broken array, where one can stand."""
        gap = self._tap.gap if isinstance(self._tap, ArrayTap) else None
        if gap is not None:
            self._send(array_error(error, gap), False)

    def end_with(self, event: bytes) -> None:
        """Writes an error event as the last thing of a broken stream, without its clean end."""
        # what the tap still holds back is part of an event that will never be whole
        gap = b"" if self._tap.at_boundary else b"\n\n"
        # and so is what the guard does
        self._send(gap + event, False)

    def usage_so_far(self) -> Usage | None:
        """What the provider has reported up to here; afterwards all text that came is counted."""
        return self._tap.usage_so_far()

    def report(self, clean: bool) -> Report:
        """What the tap has read of the whole reply; the first answer stays."""
        if self._report is None:
            self._report = self._tap.finish(clean)
        return self._report
