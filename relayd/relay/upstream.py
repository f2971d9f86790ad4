"""The only sockets to providers: one connection and the reply that it carries.

Law: bytes of a reply go by direct call from `data_received` to the attempt's sink, once per read;
what is foreign (llhttp's errors, the loop's) is turned into `RelayError` here and nowhere else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import httptools

from relayd.core.errors import RelayError
from relayd.ops.poll import polled, unheard
from relayd.relay.framing import Framing
from relayd.wire.chunked import is_chunk
from relayd.wire.replyhead import (
    HEAD_BYTES_MAX, ReplyHead, flaw, plainly, read_reply_head, version_of,
)

if TYPE_CHECKING:
    from relayd.relay.pool import Pool

STALE_SECONDS: Final = 30.0
"""A kept connection that ends later was not stale: the provider failed. So long it may take until
it shows that what was sent over it arrived nowhere."""
INTERIM_MAX: Final = 64
"""Interim answers before an answer; a provider that sends more has nothing to say."""
Sink = Callable[[bytes, bool], None]


class Attempt:
    """One try of an exchange at one deployment, as seen from its connection.

    `wake` is called when the head, an error or (without a sink) the end has come. With a sink set,
    body bytes go there with `complete` telling the end; a failure then sets `error` and wakes.
    `passage`, where it is set too, takes a read that is exactly one chunk, with its framing.
    `octets` counts all that came of the reply, with its framing.
    """

    __slots__ = ("wake", "connection", "head", "complete", "error", "sink", "passage", "chunks",
                 "octets", "_pieces", "reused", "touched", "paused", "turn", "began")

    def __init__(self, wake: Callable[[], None]) -> None:
        self.wake = wake
        self.connection: UpstreamConnection | None = None
        self.head: ReplyHead | None = None
        self.complete = False
        self.error: RelayError | None = None
        self.sink: Sink | None = None
        self.passage: Callable[[bytes], None] | None = None
        self.chunks = 0
        self.octets = 0
        self.reused = False
        self.touched = False
        self.paused = False
        self.turn = 0
        """Which of the provider's credentials it used."""
        self.began = 0.0
        self._pieces: list[bytes] = []

    def deliver(self, data: bytes, complete: bool) -> None:
        """Called by the connection, once per read."""
        self.chunks += 1
        self.complete = complete
        sink = self.sink
        if sink is not None:
            sink(data, complete)
            return
        if data:
            self._pieces.append(data)
        self.wake()

    def attach(self, sink: Sink) -> None:
        """Sends what has come, and what comes, to `sink`."""
        self.sink = sink
        data = self.take()
        if data or self.complete:
            sink(data, self.complete)

    def take(self) -> bytes:
        """The body bytes that have come and were not sent to a sink."""
        pieces, self._pieces = self._pieces, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    @property
    def pending(self) -> bool:
        """True while neither a head nor an error has come."""
        return self.head is None and self.error is None

    def stale(self, now: float) -> bool:
        """True where a kept connection was closed, or dead, as it was used (RFC 9112 section
        9.3.1): before it said anything, and so soon that the provider has not worked for long."""
        return (self.reused and not self.touched and self.error is not None
                and self.error.code == "upstream_reset" and now - self.began < STALE_SECONDS)

    def peek(self) -> bytes:
        """What `take` would give, which stays."""
        if len(self._pieces) > 1:
            self._pieces = [b"".join(self._pieces)]
        return self._pieces[0] if self._pieces else b""

    def fail(self, error: RelayError) -> None:
        """Called by the connection when the reply cannot be had whole."""
        if self.error is None and not self.complete:
            self.error = error
            self.connection = None
            self.wake()

    def pause(self) -> None:
        """The client is slow: stop reading from the provider."""
        if self.connection is not None and not self.paused:
            self.paused = True
            self.connection.transport.pause_reading()

    def resume(self) -> None:
        """The client has caught up."""
        if self.paused:
            self.paused = False
            if self.connection is not None:
                self.connection.transport.resume_reading()

    def close(self) -> None:
        """The exchange is over: nobody is told any more; a connection still at work is ended."""
        connection, self.connection = self.connection, None
        self.sink = _ignore
        self.passage = None
        self.wake = _nobody
        if connection is not None:
            connection.abort()

    def vanished(self) -> bool:
        """Whether the provider has gone and nobody was told; then the attempt has failed now."""
        connection = self.connection
        if connection is None or not connection.broken():
            return False
        connection.vanished()
        return True


def _ignore(data: bytes, complete: bool) -> None:
    """The sink of a closed attempt."""


def _nobody() -> None:
    """Who is woken by a closed attempt."""


class UpstreamConnection(asyncio.Protocol):
    """One connection to a provider: idle in its pool, or busy with one attempt."""

    __slots__ = ("pool", "transport", "attempt", "uses", "idle_since", "write_paused", "closed",
                 "owes", "_framing", "_raw", "_at_chunk")

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.transport: asyncio.Transport = None  # type: ignore[assignment]
        self.attempt: Attempt | None = None
        self.uses = 0
        self.idle_since = 0.0
        """When the pool got it; 0 before it did for the first time."""
        self.write_paused = False
        self.closed = False
        self.owes = False
        """True while the rest of a request is still to be sent: an answer that comes before it
        leaves a connection that can carry no other (RFC 9112 section 9.3)."""
        self._framing = Framing()
        self._raw = b""
        self._at_chunk = False
        """True where the next byte begins a chunk, and the parser waits for one."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open (and its TLS handshake done)."""
        self.transport = transport  # type: ignore[assignment]

    def begin(self, attempt: Attempt, data: bytes) -> None:
        """Sends a request, or its head, for `attempt`."""
        attempt.reused = self.uses > 0 or self.idle_since != 0.0
        attempt.connection = self
        self.attempt = attempt
        self.uses += 1
        self.owes = False
        self._framing.begin()
        self._raw = b""
        self._at_chunk = False
        self.pool.turn.write(self.transport, data)

    def data_received(self, data: bytes) -> None:
        """One read: parsed, then handed on in one call."""
        attempt = self.attempt
        if attempt is None or self.closed:
            self.abort()
            return
        if self._at_chunk and attempt.passage is not None and is_chunk(data):
            # the usual read of a stream; the parser stays before a chunk, and need not see it
            attempt.octets += len(data)
            attempt.chunks += 1
            attempt.passage(data)
            return
        framing = self._framing
        if attempt.head is None:
            attempt.touched = True
            self._raw += data
        marks = framing.marks
        marks.clear()
        sound = True
        try:
            framing.parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            sound = False
        self._at_chunk = bool(marks) and not marks[-1] and data.endswith(b"\n")
        attempt.octets += len(data)
        sink = attempt.sink
        if sink is not None and sound and not framing.complete and len(framing.pieces) == 1:
            # one event of a stream
            attempt.chunks += 1
            sink(framing.pieces.pop(), False)
            return
        if attempt.head is None and not self._take_head(attempt, framing, sound):
            return
        self._take_body(attempt, framing, sound)

    def _take_head(self, attempt: Attempt, framing: Framing, sound: bool) -> bool:
        raw = self._raw
        if framing.interim > INTERIM_MAX:
            self._refuse(raw, RelayError("upstream_protocol"))
            return False
        if not framing.headers_complete:
            if not sound and self._read_anew(attempt):
                return False
            if not sound or len(raw) > HEAD_BYTES_MAX:
                self._refuse(raw, RelayError("upstream_protocol"))
            return False
        for _ in range(framing.interim):
            raw = raw.partition(b"\r\n\r\n")[2]
        head = raw[:raw.find(b"\r\n\r\n")]
        try:
            if len(head) > HEAD_BYTES_MAX:
                raise RelayError("upstream_protocol")
            attempt.head = read_reply_head(
                head, framing.parser.get_status_code(),
                "1.1" if head.startswith(b"HTTP/1.1 ") else version_of(head))
        except RelayError as error:
            if not self._read_anew(attempt):
                self._refuse(raw, error)
            return False
        self._raw = b""
        return True

    def _read_anew(self, attempt: Attempt) -> bool:
        """Reads what has come once more, as llhttp takes it; False where that is no other."""
        raw, self._raw = self._raw, b""
        plain = plainly(raw)
        if plain == raw:
            return False
        self._framing.close()
        self._framing = Framing()
        attempt.octets -= len(plain)
        if plain:
            self.data_received(plain)
        return True

    def _take_body(self, attempt: Attempt, framing: Framing, sound: bool) -> None:
        pieces = framing.pieces
        data = pieces.pop() if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        if framing.complete:
            head = attempt.head
            surely = bool(data) or head is None or not head.contradicts
            self._release(sound and framing.keep_alive and surely)
            attempt.deliver(data, True)
        elif not sound:
            if data:
                attempt.deliver(data, False)
            self._fail(RelayError("upstream_truncated"))
        elif data or attempt.sink is None:
            attempt.deliver(data, False)

    def _release(self, reusable: bool) -> None:
        attempt, self.attempt = self.attempt, None
        if attempt is not None:
            attempt.connection = None
            if attempt.paused:
                self.transport.resume_reading()
        if reusable and not self.write_paused and not self.owes:
            self.pool.give_back(self)
        else:
            self.abort()

    def eof_received(self) -> bool:
        """The provider closes: the end of the reply, or its truncation."""
        self._leave()
        self._ended()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone, whoever ended it."""
        self._leave()
        self._ended(reset=error is not None)

    def broken(self) -> bool:
        """Whether the socket has an error that nobody was told of, or nothing arrives."""
        return polled(self.transport) or unheard(self.transport)

    def vanished(self) -> None:
        """The provider has reset the connection; what it sent before has been read."""
        self._leave()
        self._ended(reset=True)
        self.transport.abort()

    def _ended(self, reset: bool = False) -> None:
        attempt, self.attempt = self.attempt, None
        if attempt is None:
            return
        head = attempt.head
        if head is None:
            attempt.fail(RelayError("upstream_reset"))
        elif head.delimited or reset:
            attempt.fail(RelayError("upstream_truncated"))
        else:
            attempt.connection = None
            attempt.deliver(b"", True)

    def _refuse(self, raw: bytes, error: RelayError) -> None:
        """What has come is no answer that could be passed on."""
        self.pool.invalid(flaw(raw))
        self._fail(error)

    def _fail(self, error: RelayError) -> None:
        attempt, self.attempt = self.attempt, None
        self.abort()
        if attempt is not None:
            attempt.fail(error)

    def abort(self) -> None:
        """Closes at once; the pool forgets the connection."""
        self.attempt = None
        self._leave()
        self.transport.abort()

    def _leave(self) -> None:
        if not self.closed:
            self.closed = True
            self._framing.close()
            self.pool.forget(self)

    def pause_writing(self) -> None:
        """The provider reads slowly: an upload has to wait."""
        self.write_paused = True

    def resume_writing(self) -> None:
        """An upload may go on."""
        self.write_paused = False
        if self.attempt is not None:
            self.attempt.wake()
