"""Client connections: bytes in, requests out in order; replies written with backpressure.

Law: one exchange at a time on a connection. What a client pipelines behind it stays unparsed in a
bounded buffer, and the socket is not read while that buffer is full.
"""

from __future__ import annotations

import asyncio
from select import POLLIN
from typing import TYPE_CHECKING, ClassVar, Final

from relayd.core.errors import RelayError
from relayd.ops.poll import polled, say_all
from relayd.relay.exchange import ClientLeft, Exchange, Memo
from relayd.wire.chunked import ChunkedReader
from relayd.wire.dialect import suggested_api, target_of
from relayd.wire.http import PartialHead, RepeatedHead, RequestHead, behind_empty_lines, read_head

if TYPE_CHECKING:
    from relayd.relay.network import Peer
    from relayd.relay.plane import Plane

PIPELINED_BYTES_MAX: Final = 64 * 1024
LINGER_SECONDS: Final = 2.0


class ClientConnection(asyncio.Protocol):
    """One connection of a client. `idle_since`: when it was last free for a request; `peer`: who
    is there (relay/network.py); `client`: who that is by a balancer that it came through."""

    __slots__ = ("plane", "transport", "exchange", "deadline", "lost", "write_paused",
                 "idle_since", "peer", "client", "_buffer", "_partial", "_left", "_chunked",
                 "_consuming", "_read_paused", "_lingering", "half_closed", "_continue_due",
                 "_tls", "_origin", "_repeated")
    plain: ClassVar = True  # what an exchange writes goes to the transport as it is

    def __init__(self, plane: Plane, tls: bool, origin: bytes) -> None:
        self.plane = plane
        self.transport: asyncio.Transport = None  # type: ignore[assignment]
        self.exchange: Exchange | None = None
        self.deadline = self.idle_since = 0.0
        self._left, self._buffer, self._tls, self._origin = 0, b"", tls, origin
        self._partial: PartialHead | None = None
        self._chunked: ChunkedReader | None = None
        self._consuming = self._read_paused = self._lingering = self.lost = False
        self.half_closed = self._continue_due = self.write_paused = False
        self._repeated: RepeatedHead | None = None
        self.peer: Peer | None = None
        self.client: tuple[str, int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self.transport = transport  # type: ignore[assignment]
        server = self.plane.policy.server
        self.transport.set_write_buffer_limits(high=server.write_buffer_bytes)
        self.plane.connections.add(self)
        self.idle_since = self.plane.now()
        self.deadline = self.idle_since + server.header_seconds

    def data_received(self, data: bytes) -> None:
        """Bytes of the client, in order."""
        if self._lingering:
            return
        if self._buffer:
            data, self._buffer = self._buffer + data, b""
        elif self._repeated is not None and self._read_whole(self._repeated, data):
            return
        self._consume(data)

    def eof_received(self) -> bool:
        """The client has sent all it will; a complete request is still answered (half-close)."""
        exchange = self.exchange
        if exchange is None:
            if not self._buffer or not self.write_paused:
                return False
        elif not exchange.body_complete:
            exchange.client_gone = True
            exchange.interrupt(ClientLeft())
            return False
        self.half_closed = True
        self._continue_due = exchange is not None and bool(exchange.head.minor)
        return not self._tls

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone, whoever ended it."""
        self.lost = True
        self._buffer = b""
        self._repeated = None
        self.plane.connections.discard(self)
        if self._origin:
            self.plane.addresses.leave(self._origin)
        exchange = self.exchange
        if exchange is not None:
            exchange.client_gone = True
            if not self.plane.abandoned.take(exchange):
                exchange.interrupt(ClientLeft())

    def pause_writing(self) -> None:
        """The client reads slowly: the provider is not read either."""
        self.write_paused = True
        if self.exchange is not None and self.exchange.attempt is not None:
            self.exchange.attempt.pause()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self.write_paused = False
        exchange = self.exchange
        if exchange is None:
            if not self._consuming and not self._lingering:
                self._go_on()
        elif exchange.attempt is not None:
            exchange.attempt.resume()

    # -- reading --------------------------------------------------------------------------

    def _consume(self, data: bytes) -> None:
        self._consuming = True
        try:
            while data and not self._lingering and not self.lost:
                exchange = self.exchange
                if exchange is None and not self.write_paused:
                    data = self._read_head(data)
                elif exchange is None or exchange.body_complete:
                    data = self._hold(data)
                else:
                    data = self._read_body(exchange, data)
        except RelayError as error:
            self._refuse(error.with_traceback(None), data)  # _start's frame keeps it
        finally:
            self._consuming = False
        idle = self.exchange is None and not self._lingering and not self._buffer
        if idle and self.half_closed:
            self.cut()

    def _hold(self, data: bytes) -> bytes:
        """Keeps what was sent behind the running exchange, or behind answers not read yet."""
        self._buffer = data
        if len(data) > PIPELINED_BYTES_MAX:
            self.pause_reading()
        return b""

    def _read_head(self, data: bytes) -> bytes:
        """Starts an exchange if a head is complete; returns what lies behind what was read."""
        repeated = self._repeated
        if repeated is not None and (end := repeated.read(data)):
            return self._start(repeated.head, data[end:])
        if data[0] in b"\r\n" and (data := behind_empty_lines(data)) in (b"", b"\r"):
            self._buffer = data
            return b""
        end = data.find(b"\r\n\r\n")
        limits = self.plane.policy.head_limits
        if end < 0:
            if self._partial is None:
                self._partial = PartialHead()
                self.deadline = self.plane.now() + self.plane.policy.server.header_seconds
            self._partial.feed(data, limits)
            self._buffer = data
            return b""
        raw = data[:end + 4]
        head = read_head(raw, limits)
        if head.content_length and b"expect" not in head.fields:
            self._repeated = RepeatedHead(raw, head)
        return self._start(head, data[len(raw):])

    def _read_whole(self, repeated: RepeatedHead, data: bytes) -> bool:
        """Takes the usual read, a head that repeats and the whole of its body; others: False."""
        if self.exchange is not None:
            return False  # its head may be the same, and is not to be changed
        end = repeated.read(data)
        size = len(data) - end
        plane = self.plane
        server = plane.policy.server
        if (not end or size != repeated.head.content_length
                or self.write_paused or self.lost or size > server.max_body_bytes
                or plane.overload.pending_bytes + size > server.pending_bytes_max):
            return False
        exchange = self._enter(repeated.head)
        exchange.pieces = [data[end:]]
        exchange.body_bytes = exchange.held_bytes = size
        exchange.body_complete = True
        plane.overload.pending_bytes += size
        plane.handler.start(exchange)
        return True

    def _enter(self, head: RequestHead) -> Exchange:
        """A request begins; nothing of its body is in it yet."""
        plane = self.plane
        now_ms = plane.unix_ms()
        exchange = self.exchange = Exchange(
            self, head, plane.policy, plane.new_id(now_ms), now_ms, plane.now())
        exchange.deadline = exchange.started + exchange.policy.server.body_seconds
        if plane.draining:
            exchange.keep_alive = False
        self.deadline, self._continue_due = 0.0, False
        plane.inflight.add(exchange)
        return exchange

    def _start(self, head: RequestHead, rest: bytes) -> bytes:
        if head.memo is None:
            head.memo = Memo(target_of(head.path, suggested_api(head.fields, head.query)))
        exchange = self._enter(head)
        self._partial = None
        self._continue_due = bool(head.minor) and b"expect" in head.fields  # RFC 9110 10.1.1
        if head.chunked:
            self._chunked = ChunkedReader(exchange.policy.server.max_body_bytes)
        else:
            self._left = head.content_length or 0
            exchange.body_complete = not self._left
        fault = None
        if rest and not exchange.body_complete:
            try:
                rest = self._read_body(exchange, rest)
            except RelayError as error:  # told by the story, which knows the key and the dialect
                fault = error.with_traceback(None)
        self.plane.handler.start(exchange)
        if fault is not None and self.exchange is exchange:
            raise fault
        return rest

    def _read_body(self, exchange: Exchange, data: bytes) -> bytes:
        """Hands body octets to the exchange; returns what lies behind the message."""
        self._continue_due = False
        if self._chunked is not None:
            pieces, rest = self._chunked.feed(data)
            done = self._chunked.done
        else:
            left = self._left
            pieces, rest = [data[:left]], data[left:]
            self._left = max(left - len(data), 0)
            done = len(data) >= left
        if body := b"".join(pieces):
            self._keep(exchange, body)
        if exchange.body_bytes > exchange.policy.server.max_body_bytes:
            raise RelayError("body_too_large", close=True)
        if done:
            self._chunked = None
            exchange.body_complete = True
        exchange.wake()
        return rest

    def _keep(self, exchange: Exchange, piece: bytes) -> None:
        size = len(piece)
        exchange.body_bytes += size
        if not exchange.replied:  # what comes behind an early answer is let go
            exchange.keep(piece)
            self.plane.overload.hold(exchange.policy.server, size)

    def _refuse(self, error: RelayError, data: bytes) -> None:
        """A request that cannot be read: told to its story, or answered here if it has none."""
        exchange = self.exchange
        self._buffer = b""
        if exchange is not None and exchange.story is not None:
            exchange.interrupt(error)
            if not exchange.body_complete and self.exchange is exchange:
                self._lingering = True
            return
        self.exchange = None
        plane = self.plane
        plane.metrics.refused_before_key("openai", error.code)
        to_head = data.lstrip(b"\r\n").startswith(b"HEAD ")
        self.write(plane.replier.refusal(error, plane.new_id(plane.unix_ms()), to_head))
        self.linger()

    def pause_reading(self) -> None:
        """Stops reading from the client; harmless when repeated."""
        if not self._read_paused and not self.lost:
            self._read_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Reads from the client again."""
        if self._read_paused and not self.lost:
            self._read_paused = False
            self.transport.resume_reading()

    # -- the story's side -----------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Writes to the client, unless it is gone."""
        if not self.lost:
            self.plane.turn.write_now(self.transport, data)

    def write_whole(self, data: bytes) -> None:
        """The same for a whole answer, which may leave with others."""
        if not self.lost:
            self.plane.turn.write(self.transport, data)

    def invite_body(self) -> None:
        """Sends 100 Continue where the client waits for it (RFC 9110, 10.1.1), or may be gone."""
        if self._continue_due:
            self._continue_due = False
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def upgrade(self, protocol: asyncio.Protocol) -> bytes:
        """Hands the transport to `protocol`, which tells this connection when it is lost.

        Returns what the client has sent behind its request; raises ClientLeft if it is leaving.
        """
        if self.half_closed or self.lost:
            raise ClientLeft
        held, self._buffer = self._buffer, b""
        self.plane.turn.flush()
        self.transport.set_protocol(protocol)
        self.resume_reading()
        return held

    def make_way(self, heir: ClientConnection) -> bytes:
        """As `upgrade`, for good: `heir` has this connection's place in all that counts them."""
        held = self.upgrade(heir)
        heir.transport, heir.write_paused = self.transport, self.write_paused
        heir._tls, heir._origin = self._tls, self._origin
        heir.peer, heir.client = self.peer, self.client
        self.plane.connections.discard(self)
        self.plane.connections.add(heir)
        self.lost = True
        return held

    def finish(self, exchange: Exchange, keep_alive: bool) -> None:
        """The exchange is settled: on to the next request, or to the end of the connection."""
        self.exchange = None
        self.plane.inflight.discard(exchange)
        if self.lost:
            return
        if not exchange.body_complete or not (
                keep_alive or self._tls or self.half_closed or exchange.status == 101):
            self.linger()  # where what still comes met a closed socket, the answer would be lost
        elif not keep_alive:
            self.cut()
        else:
            self.idle_since = self.plane.now()
            self.deadline = self.idle_since + self.plane.policy.server.idle_seconds
            self.resume_reading()
            if not self._consuming and (self._buffer or self.half_closed):
                self._go_on()

    def _go_on(self) -> None:
        """On to what is held; without any, a client that sends no more is done."""
        if self._buffer:
            data, self._buffer = self._buffer, b""
            self.resume_reading()
            self._consume(data)
        elif self.half_closed:
            self.cut()

    @property
    def leaving(self) -> bool:
        """Whether it carries no more requests."""
        return self._lingering

    def leave(self) -> None:
        """Says that it takes no more requests, where it carries none and none has come unread.

        At once: between the look and the farewell a client must not have the time to send one.
        """
        if self.exchange is not None or self._lingering or polled(self.transport, POLLIN):
            return
        if self._tls:
            self.cut()
        else:
            self.linger()

    def broken(self) -> bool:
        """Whether the socket has an error that nobody was told of."""
        return not self.lost and polled(self.transport)

    def cut(self) -> None:
        """Ends the connection after what was written, for which a slow reader has some time."""
        if not self.lost:
            self._lingering = True
            self.deadline = self.plane.now() + self.plane.policy.server.idle_seconds
            self.plane.turn.flush()
            self.transport.close()

    def linger(self) -> None:
        """Says all is said, then reads and discards for a moment, so that the answer arrives."""
        if self.lost:
            return
        self._lingering, self._buffer = True, b""
        self.idle_since = self.plane.now()
        self.deadline = self.idle_since + LINGER_SECONDS
        self.resume_reading()
        self.plane.turn.flush()
        if not self._tls and not self.lost:
            say_all(self.transport)

    def expire(self) -> None:
        """Called by the sweep when `deadline` has passed with no exchange running."""
        if self._lingering:
            most = self.idle_since + self.plane.policy.server.idle_seconds
            if self.deadline < most and self.transport.get_write_buffer_size():
                self.deadline += LINGER_SECONDS  # it has not read its answer yet
            else:
                self.transport.abort()
        elif self._partial is None:
            self._lingering = True
            self.transport.close()
        else:
            self._refuse(RelayError("request_timeout", close=True), self._buffer)
