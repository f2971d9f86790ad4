"""Copies one reply from its attempt to the client: byte for byte, by direct call.

Law: a chunk is written to the client before it is looked at, unless the relay has to withhold
the usage event that it asked for itself, or the chunk is a stream's last: a stream without its
own last event is never ended cleanly. Nothing is kept.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from relayd.core.errors import RelayError
from relayd.core.exchange import TO_STREAMING
from relayd.core.usage import Usage
from relayd.ops.tasks import PAUSE
from relayd.relay.exchange import Exchange
from relayd.relay.opening import mark
from relayd.relay.tap import ArrayTap, Report, Tap, tap_for, usage_in_error
from relayd.relay.upstream import Attempt
from relayd.wire.headers import RETRY_AFTER, asked_wait, response_fields
from relayd.wire.provider_error import judge
from relayd.wire.shapes import array_error, error_fields, heartbeat

if TYPE_CHECKING:
    from relayd.relay.plane import Plane

ERROR_BODY_BYTES_MAX: Final = 1024 * 1024
"""A provider's error body: read whole, because it may name the operator."""
_LAST_CHUNK: Final = b"0\r\n\r\n"
_CHUNKED: Final = b"transfer-encoding: chunked\r\n"
_WITH_LAST_EVENT: Final = frozenset(
    {"chat", "completions", "responses", "messages", "stream_generate"})
"""Operations whose streams say themselves that they are whole, at every provider."""
_BODYLESS: Final = frozenset({204, 205, 304})


class Stream:
    """The state of one copy. `on_data` is the attempt's sink."""

    __slots__ = ("_plane", "_exchange", "_attempt", "_tap", "_feed", "_passes_all", "_head",
                 "_chunked", "done", "is_event_stream", "_connection", "_heartbeat", "_beaten",
                 "sent", "_report", "_ends_itself", "cut_short", "_holds", "_held")

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
        self._connection = exchange.connection
        self._chunked = attempt.head.length is None and exchange.head.minor == 1
        self.done = False
        self.sent = 0
        self.is_event_stream = (
            content_type.startswith(b"text/event-stream") and not attempt.head.coded)
        endpoint = exchange.target.endpoint
        self._ends_itself = (
            exchange.stream and endpoint is not None and endpoint.operation in _WITH_LAST_EVENT)
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
        if complete or not self.sent or not self._chunked:
            self._on_other(data, complete)
        elif self._passes_all:
            connection.write(b"%x\r\n%b\r\n" % (len(data), data))
            self._feed(data)
        elif data := self._feed(data):
            connection.write(b"%x\r\n%b\r\n" % (len(data), data))
        if connection.write_paused and not complete:
            self._attempt.pause()

    def _on_other(self, data: bytes, complete: bool) -> None:
        """The first read, the last one, and those of replies that are not sent in chunks."""
        if self.sent == 0:
            self._exchange.first_byte = self._plane.now()
            self.sent = 1
        if complete and self.is_event_stream:
            self._end(data)
        elif self._passes_all:
            self._write(data, complete)
            if data:
                self._feed(data)
        else:
            self._write(self._feed(data) if data else data, complete)
        if complete:
            self.done = True
            self._attempt.wake()

    def _end(self, data: bytes) -> None:
        """The last read of an event stream, looked at first: only what is whole ends cleanly."""
        if data:
            data = self._feed(data)
        data += self._tap.flush()
        report = self.report(True)
        self.cut_short = (
            self._ends_itself and not report.ended and report.error is None)
        if not self.cut_short:
            self._write(data, True)
        elif not self._head or b"data:" in data:  # else it is no event stream at all
            self._write(data, False)

    def _write(self, data: bytes, complete: bool) -> None:
        if self._chunked:
            if data:
                tail = _LAST_CHUNK if complete else b""
                data = b"%x\r\n%b\r\n%b" % (len(data), data, tail)
            elif complete:
                data = _LAST_CHUNK
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
            self._write(self._heartbeat, False)

    def end_array(self, error: RelayError) -> None:
        """Writes an error as the last element of a broken array, where one can stand."""
        gap = self._tap.gap if isinstance(self._tap, ArrayTap) and self._chunked else None
        if gap is not None:
            self._write(array_error(error, gap), False)

    def end_with(self, event: bytes) -> None:
        """Writes an error event as the last thing of a broken stream, without its clean end."""
        # what the tap still holds back is part of an event that will never be whole
        gap = b"" if self._tap.at_boundary else b"\n\n"
        self._write(gap + event, False)

    def usage_so_far(self) -> Usage | None:
        """What the provider has reported up to here; afterwards all text that came is counted."""
        return self._tap.usage_so_far()

    def report(self, clean: bool) -> Report:
        """What the tap has read of the whole reply; the first answer stays."""
        if self._report is None:
            self._report = self._tap.finish(clean)
        return self._report


def take_usage(exchange: Exchange, report: Report) -> None:
    """Notes what the provider has reported, and whether it covers what has passed."""
    exchange.usage = report.usage
    exchange.usage_covers = report.covers


class Streamer:
    """Turns an attempt's reply into the client's."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane

    def copy_whole(self, exchange: Exchange, attempt: Attempt) -> bool:
        """Copies a reply that came whole in one read: one write, and no stream to keep.

        False for all others, of which nothing has been written.
        """
        plane = self._plane
        head = attempt.head
        assert head is not None
        if (not attempt.complete or head.length is None or head.status >= 300
                or head.status in _BODYLESS or plane.meter.waits
                or head.content_type.startswith(b"text/event-stream") and not head.coded):
            return False
        exchange.phase = TO_STREAMING[exchange.phase]
        tap, opening = self._open(exchange, attempt)
        data = attempt.take()
        exchange.first_byte = plane.now()
        exchange.connection.write_whole(opening + data)
        tap.feed(data)
        self._judge(exchange, tap.finish(True))
        return True

    async def copy(self, exchange: Exchange, attempt: Attempt) -> None:
        """Copies the reply to its end; raises RelayError where it breaks."""
        head = attempt.head
        assert head is not None
        if 300 <= head.status < 400 and head.status != 304:
            raise RelayError("upstream_protocol")  # a provider's API does not redirect
        if head.status >= 400:
            await self._copy_error(exchange, attempt)
        elif head.status in _BODYLESS:
            exchange.phase = TO_STREAMING[exchange.phase]
            attempt.close()
            exchange.ending = "completed"
            self._plane.replier.answer(exchange, head.status, (), b"")
        else:
            await self._copy_body(exchange, attempt)

    async def _copy_body(self, exchange: Exchange, attempt: Attempt) -> None:
        plane = self._plane
        head = attempt.head
        endpoint = exchange.target.endpoint
        assert head is not None and endpoint is not None
        exchange.phase = TO_STREAMING[exchange.phase]
        tap, opening = self._open(exchange, attempt)
        if attempt.complete and head.length is not None:  # as in copy_whole, for `sync_ms = 0`
            data = attempt.take()
            exchange.first_byte = plane.now()
            tap.feed(data)
            self._judge(exchange, tap.finish(True))
            await self._reach_disk(exchange)
            exchange.connection.write(opening + data)
            return
        stream = exchange.copying = Stream(plane, exchange, attempt, tap, opening)
        provider = exchange.policy.providers[exchange.provider or ""]
        exchange.idle_seconds = provider.timeouts.idle
        exchange.expire_code = "upstream_stalled"
        exchange.deadline = 0.0  # the next sweep starts the provider's idle time
        attempt.attach(stream.on_data)
        if stream.is_event_stream and not stream.done:
            stream.send_head()
        while not stream.done and attempt.error is None:
            await PAUSE
        report = stream.report(attempt.error is None)
        self._judge(exchange, report)
        if attempt.error is not None:
            raise attempt.error
        if stream.cut_short:
            raise RelayError("upstream_truncated")
        if plane.meter.waits:
            await self._reach_disk(exchange)
            stream.release()

    async def _reach_disk(self, exchange: Exchange) -> None:
        """Waits until the disk has what the call used: `sync_ms = 0`, before its last byte."""
        meter = self._plane.meter
        reached: list[bool] = []

        def wake() -> None:
            reached.append(True)
            exchange.wake()

        exchange.deadline = 0.0
        meter.mark(mark(exchange))
        if not meter.when_synced(wake):
            while not reached:
                await PAUSE

    def _open(self, exchange: Exchange, attempt: Attempt) -> tuple[Tap, bytes]:
        """The reply's tap, and the head that the client gets; the request's content is let go."""
        head = attempt.head
        ask = exchange.ask
        endpoint = exchange.target.endpoint
        assert head is not None and endpoint is not None
        streamed = head.content_type.startswith(b"text/event-stream")
        withhold = (
            ask is not None and ask.stream and not ask.usage_asked and streamed
            and endpoint.operation in ("chat", "completions")
        )
        tap = tap_for(
            endpoint, b"" if head.coded else head.content_type, head.status,
            withhold_usage=withhold and not head.coded, counter=exchange.counter,
            limit=exchange.policy.server.json_reply_bytes_max)
        if streamed and not head.coded:
            head.length = None  # events that are withheld or put in make a declared length untrue
        exchange.drop_body()
        if head.length is not None:
            framing = b"content-length: %d\r\n" % head.length
        elif exchange.head.minor == 1:
            framing = _CHUNKED
        else:
            framing = b""
            exchange.keep_alive = False
        exchange.status = head.status
        exchange.replied = True
        fields = _passing(head.fields, streamed)
        return tap, self._plane.replier.head(exchange, head.status, fields, framing)

    def _judge(self, exchange: Exchange, report: Report) -> None:
        """Takes the reply's usage, and how it ended in the dialect's own words."""
        take_usage(exchange, report)
        if report.error is not None:
            exchange.ending = "provider_failed"
            exchange.error = report.error
        elif exchange.stream and not report.ended:
            exchange.ending = "provider_truncated"
            exchange.error = "upstream_truncated"
        else:
            exchange.ending = "completed"

    async def _copy_error(self, exchange: Exchange, attempt: Attempt) -> None:
        """A provider's error: read whole, passed unless it names the operator."""
        plane = self._plane
        head = attempt.head
        assert head is not None
        pieces: list[bytes] = []
        attempt.attach(lambda data, complete: _gather(attempt, pieces, data, complete))
        size = seen = 0
        while not attempt.complete and attempt.error is None:
            await PAUSE
            size += sum(map(len, pieces[seen:]))
            seen = len(pieces)
            if size > ERROR_BODY_BYTES_MAX:
                attempt.close()
                raise RelayError("provider_failed", status=head.status)
        if attempt.error is not None:
            raise attempt.error
        body = b"".join(pieces)
        secrets = exchange.policy.secrets[exchange.provider or ""]
        verdict = judge(exchange.target.api, head.status, body, secrets)
        exchange.error = verdict.code
        exchange.ending = "provider_error"
        if exchange.target.endpoint is not None and not head.coded:
            exchange.usage = usage_in_error(exchange.target.endpoint, body)
        error = RelayError(verdict.code, status=head.status,
                           retry_after_seconds=asked_wait(head.fields))
        if not verdict.passes or head.coded:
            raise error
        told = error_fields(error)
        names = {*RETRY_AFTER, *(name for name, _ in told)}
        fields = [f for f in _passing(head.fields, False) if f[0] not in names]
        exchange.phase = TO_STREAMING[exchange.phase]
        plane.replier.answer(exchange, head.status, [*fields, *told], body)


@lru_cache(maxsize=128)
def _passing(
    fields: tuple[tuple[bytes, bytes], ...], streamed: bool
) -> tuple[tuple[bytes, bytes], ...]:
    """What passes of a provider's fields; most replies of a provider have the same ones."""
    passed = response_fields(fields)
    if streamed:
        passed.append((b"x-accel-buffering", b"no"))
    return tuple(passed)


def _gather(attempt: Attempt, pieces: list[bytes], data: bytes, complete: bool) -> None:
    pieces.append(data)
    attempt.wake()
