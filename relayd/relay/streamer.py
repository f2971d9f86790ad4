"""From an attempt's reply to the client's: which copy it needs, its head, how it ended.

Law: a reply that has come whole is one write; any other one is a `Stream`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from relayd.core.errors import RelayError
from relayd.core.exchange import TO_STREAMING
from relayd.ops.tasks import PAUSE
from relayd.relay.disguised import (
    array_guard, check, comes_whole, is_array, is_error, is_suspect,
)
from relayd.relay.exchange import Exchange
from relayd.relay.inflate import InflatingTap, coding_of
from relayd.relay.opening import mark
from relayd.relay.stream import Stream, guard_of, in_chunks, is_cut_short
from relayd.relay.tap import ArrayTap, Report, Tap, read_whole, tap_for, usage_in_error
from relayd.relay.upstream import Attempt
from relayd.wire.anonymous import ERROR
from relayd.wire.headers import RETRY_AFTER, asked_wait, response_fields
from relayd.wire.provider_error import judge
from relayd.wire.replyhead import ReplyHead
from relayd.wire.shapes import error_fields

if TYPE_CHECKING:
    from relayd.relay.plane import Plane

ERROR_BODY_BYTES_MAX: Final = 1024 * 1024
"""A provider's error body: read whole, because it may name the operator."""
_CHUNKED: Final = b"transfer-encoding: chunked\r\n"
_BODYLESS: Final = frozenset({204, 205, 304})


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
        if (not attempt.complete or head.status >= 300 or head.status in _BODYLESS
                or plane.meter.waits):
            return False
        if head.content_type.startswith(b"text/event-stream") and not head.coded:
            exchange.phase = TO_STREAMING[exchange.phase]
            self._copy_events(exchange, attempt)
            return True
        data = attempt.peek()
        if is_suspect(data):
            if is_array(exchange, head, data):
                return False
            check(exchange, head, data)
        exchange.phase = TO_STREAMING[exchange.phase]
        if head.coded:
            self._copy_events(exchange, attempt)
            return True
        opening = self._opening(exchange, head)
        exchange.first_byte = plane.now()
        exchange.connection.write_whole(opening + _framed(exchange, head, data))
        exchange.drop_body()
        endpoint = exchange.target.endpoint
        assert endpoint is not None
        self._judge(exchange, read_whole(
            endpoint, head.content_type, data, exchange.counter,
            exchange.policy.server.json_reply_bytes_max))
        return True

    def _copy_events(self, exchange: Exchange, attempt: Attempt) -> None:
        """The same for an event stream, and for what is compressed, which may be one: looked at
        first, for only what is whole ends cleanly."""
        tap, opening = self._open(exchange, attempt)
        head, data = attempt.head, attempt.take()
        assert head is not None
        exchange.first_byte = self._plane.now()
        if data:
            data = tap.feed(data)
        data += tap.flush()
        report = tap.finish(True)
        cut_short = head.length is None and is_cut_short(exchange, report)
        if cut_short:
            stream = exchange.copying = Stream(self._plane, exchange, attempt, tap, opening)
            stream.end_cut(data, report)
        else:
            if ERROR in data and not head.coded:
                data = guard_of(exchange).passing(data, True)
            exchange.connection.write_whole(opening + _framed(exchange, head, data))
        self._judge(exchange, report)
        if cut_short:
            raise RelayError("upstream_truncated")

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
        if attempt.complete:
            check(exchange, head, attempt.peek())
        tap, opening = self._open(exchange, attempt)
        if attempt.complete and head.length is not None:  # as in copy_whole, for `sync_ms = 0`
            data = attempt.take()
            exchange.phase = TO_STREAMING[exchange.phase]
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
        await self._attach(exchange, attempt, stream)
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

    async def _attach(self, exchange: Exchange, attempt: Attempt, stream: Stream) -> None:
        """From now on the stream has what comes: of some replies, once they are whole, and of an
        error that will not be, nothing."""
        head = attempt.head
        assert head is not None
        whole, broken = False, True
        try:
            whole = await comes_whole(exchange, attempt)
            broken = attempt.error is not None
        finally:
            if whole:
                check(exchange, head, attempt.peek())
            elif broken and is_error(head, attempt.peek()):
                attempt.take()
            exchange.phase = TO_STREAMING[exchange.phase]
            attempt.attach(stream.on_data)

    async def _reach_disk(self, exchange: Exchange) -> None:
        """Waits until the disk has what the call used: `sync_ms = 0`, before its last byte."""
        meter = self._plane.meter
        reached: list[bool] = []

        def wake() -> None:
            reached.append(True)
            exchange.wake()

        exchange.deadline = exchange.last_deadline = 0.0  # the provider has done its part
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
        tap = _tap(exchange, head, withhold)
        if (streamed and not head.coded) or not tap.passes_all:
            head.length = None  # what is withheld or put in makes a declared length untrue
        exchange.drop_body()
        return tap, self._opening(exchange, head)

    def _opening(self, exchange: Exchange, head: ReplyHead) -> bytes:
        """The head that the client gets."""
        if head.length is not None:
            framing = b"content-length: %d\r\n" % head.length
        elif exchange.head.minor == 1:
            framing = _CHUNKED
        else:
            framing = b""
            exchange.keep_alive = False
        exchange.status = head.status
        exchange.replied = True
        streamed = head.content_type.startswith(b"text/event-stream")
        return self._plane.replier.head(
            exchange, head.status, _passing(head.fields, streamed), framing)

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


def _tap(exchange: Exchange, head: ReplyHead, withhold: bool) -> Tap:
    """What reads the reply; nothing is withheld of one that is encoded."""
    endpoint, kind = exchange.target.endpoint, head.content_type
    assert endpoint is not None
    limit = exchange.policy.server.json_reply_bytes_max
    coding = None
    if head.coded:
        withhold = exchange.encoding_exact = False  # not all that is inside may be read
        coding = coding_of(head)
        if coding is None:
            return Tap()
    tap = tap_for(endpoint, kind, head.status, withhold_usage=withhold,
                  counter=exchange.counter, limit=limit)
    if isinstance(tap, ArrayTap) and not head.coded:
        tap.guard(array_guard(exchange))
    return tap if coding is None else InflatingTap(tap, coding, limit)


@lru_cache(maxsize=128)
def _passing(
    fields: tuple[tuple[bytes, bytes], ...], streamed: bool
) -> tuple[tuple[bytes, bytes], ...]:
    """What passes of a provider's fields; most replies of a provider have the same ones."""
    passed = response_fields(fields)
    if streamed:
        passed.append((b"x-accel-buffering", b"no"))
    return tuple(passed)


def _framed(exchange: Exchange, head: ReplyHead, data: bytes) -> bytes:
    """A whole body, as the head that the client gets says."""
    return in_chunks(data) if head.length is None and exchange.head.minor == 1 else data


def _gather(attempt: Attempt, pieces: list[bytes], data: bytes, complete: bool) -> None:
    pieces.append(data)
    attempt.wake()
