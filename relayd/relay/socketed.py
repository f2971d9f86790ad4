"""Responses over WebSocket: the relay ends the socket itself, each response is a call of its own.

A `ResponsesSocket` takes the place of its client's connection. Every `response.create` becomes an
exchange as a POST /v1/responses with `stream: true` makes one (own id, admission, limits, record);
what its story writes is read here and goes out as text messages. Law: one response at a time, and
nothing of one is kept for the next.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from relayd.core.errors import RelayError
from relayd.ops.tasks import PAUSE
from relayd.relay.ends import MESSAGE_BYTES_MAX, Backlog, Pace
from relayd.relay.exchange import ClientLeft, Exchange, Memo
from relayd.relay.listener import ClientConnection
from relayd.relay.overload import Share
from relayd.relay.tunnel import CLOSE_SECONDS, OWN_BYTES_MAX, SESSION_SECONDS_MAX
from relayd.wire.dialect import target_of
from relayd.wire.handshake import accepting, read_plain
from relayd.wire.http import RequestHead
from relayd.wire.responses_socket import ReplyReader, error_event, read_create, warm_up
from relayd.wire.websocket import (
    BINARY, CLOSE, GOING_AWAY, MESSAGES_MAX, PING, PONG, POLICY, RESTART, TEXT, TRY_LATER,
    UNSUPPORTED, Message, MessageReader, close_code, close_payload, frame,
)

if TYPE_CHECKING:
    from relayd.relay.plane import Plane

PATH: Final = "/v1/responses"
PINGS: Final = 3
"""A client that says nothing is asked so often in its idle time whether it is there."""
_SILENT: Final = b"1\r\n\n\r\n"
"""A heartbeat as relay/stream.py writes one: on a socket it is a ping."""
_OF_THE_UPGRADE: Final = frozenset({
    b"upgrade", b"connection", b"sec-websocket-key", b"sec-websocket-version",
    b"sec-websocket-protocol", b"content-encoding", b"expect", b"content-length",
})


async def serve_responses(plane: Plane, exchange: Exchange) -> None:
    """Accepts a handshake; from then on the socket lives by itself. It is no call: no record.

    Raises upgrade_required and upgrade_refused.
    """
    asked = read_plain(exchange.head)
    turned: list[bool] = []

    def turn() -> None:
        turned.append(True)
        exchange.wake()

    plane.call_later(0, turn)  # what came behind the head has been put aside by then
    while not turned:
        await PAUSE
    old = exchange.connection
    socket = ResponsesSocket(plane, exchange.head)
    held = old.make_way(socket)
    exchange.keep_alive = True  # else the head would say that the connection ends with it
    socket.transport.write(plane.replier.head(exchange, 101, accepting(asked), b""))
    exchange.status = 101
    exchange.replied = True
    exchange.ending = "completed"
    exchange.grant = None
    socket.data_received(held)


def _call_head(head: RequestHead) -> RequestHead:
    """The head that a call over HTTP would have had, for all responses of a socket."""
    fields = {name: value for name, value in head.fields.items() if name not in _OF_THE_UPGRADE}
    betas = [word for word in fields.pop(b"openai-beta", b"").split(b",")
             if not word.strip().startswith(b"responses_websockets=")]
    if any(betas):
        fields[b"openai-beta"] = b",".join(betas)
    memo = Memo(target_of(PATH, "openai"))
    return replace(head, method=b"POST", path=PATH, fields=fields, keep_alive=True, memo=memo)


class ResponsesSocket(ClientConnection):
    """A client's connection behind its upgrade, as the plane and each exchange see it."""

    __slots__ = ("_head", "_reader", "_asked", "_reply", "_pace", "_heard", "_ends_at", "_share")
    plain = False

    def __init__(self, plane: Plane, head: RequestHead) -> None:
        super().__init__(plane, False, b"")
        self._head = _call_head(head)
        self._reader = MessageReader(
            True, min(MESSAGE_BYTES_MAX, plane.policy.server.max_body_bytes))
        self._asked = Backlog(self._reader, self._hear, self._defer, MESSAGES_MAX)
        self._reply = ReplyReader()
        self._pace = Pace()
        self._share = Share(plane.overload)
        self._heard = self.idle_since = plane.now()
        self._ends_at = self._heard + SESSION_SECONDS_MAX
        self._rest()

    # -- from the client ------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Frames of the client, in order."""
        self._heard = self.plane.now()
        self._asked.put(data)
        self._after()

    def _hear(self, message: Message) -> None:
        if message.opcode == CLOSE:
            self._closed(close_code(message.payload))
        elif self._lingering:
            return  # said before it has heard our close
        elif message.opcode == TEXT:
            self._take(message.payload)
        elif message.opcode == BINARY:
            self.part(UNSUPPORTED)
        else:
            self._control(message)

    def _defer(self, waits: bool) -> None:
        """Some of what has come waits for its turn, or does not any more."""
        if waits:
            self.pause_reading()
        else:
            self.resume_reading()
            self._after()

    def _after(self) -> None:
        if self._asked.waits:
            return
        if self._reader.fault and not self._lingering:
            self.part(self._reader.fault)
        try:
            self._share.weigh(self.plane.policy.server, self._reader.kept)
        except RelayError:
            if not self._lingering:
                self.part(TRY_LATER)

    def eof_received(self) -> bool:
        """The client has ended: half a WebSocket connection is of no use."""
        self._asked.flush()
        self._forsake()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone, and with it what had not come whole."""
        self._asked.forget()
        self._reader.forget()
        self._share.give_back()
        self._forsake()
        super().connection_lost(error)

    def _control(self, message: Message) -> None:
        if self._pace.exceeded(self._heard):
            self.part(POLICY)
        elif message.opcode == PING and not self.write_paused:
            self._say(PONG, message.payload)

    def _closed(self, code: int) -> None:
        """The client's close: answered, or its answer to ours; then nothing more comes."""
        if not self._lingering:
            self.part(code)
        self.deadline = self.plane.now() + CLOSE_SECONDS
        self.transport.close()

    def _take(self, payload: bytes) -> None:
        if self.transport.get_write_buffer_size() > OWN_BYTES_MAX:
            self.part(POLICY)  # it asks and does not read
            return
        try:
            if self.plane.draining:
                raise RelayError("draining")
            asked = read_create(payload)
            if self.exchange is not None:
                raise RelayError("concurrency_limited",
                                 detail="One response at a time is served on a connection.")
        except RelayError as error:
            plane = self.plane
            self._say(TEXT, error_event(error, plane.new_id(plane.unix_ms())))
            if self.plane.draining and self.exchange is None:
                self.part(RESTART)
            return
        if asked.generate:
            self._create(asked.body)
        else:
            for event in warm_up(asked.model, self.plane.unix_ms() // 1000):
                self._say(TEXT, event)

    def _create(self, body: bytes) -> None:
        """Begins an exchange as a connection does whose request has come whole."""
        exchange = self._enter(replace(self._head, content_length=len(body)))
        exchange.pieces.append(body)
        exchange.body_bytes = exchange.held_bytes = len(body)
        self.plane.overload.pending_bytes += len(body)  # looked at when the call is admitted
        exchange.body_complete = True
        self._reply = ReplyReader()
        self.plane.handler.start(exchange)

    # -- the exchange's side --------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """What would be a reply over HTTP: its events, each a text message."""
        if self.lost or self._lingering:
            return
        if data == _SILENT:
            if not self.write_paused:
                self._say(PING, b"")
            return
        events = self._reply.feed(data)
        if events:
            self.transport.write(b"".join([frame(TEXT, event) for event in events]))

    def write_whole(self, data: bytes) -> None:
        """The same."""
        self.write(data)

    def cut(self) -> None:
        """A reply that breaks ends with its error event; the socket does not end with it."""

    def finish(self, exchange: Exchange, keep_alive: bool) -> None:
        """The exchange is settled: on to the next one."""
        self.plane.inflight.discard(exchange)
        if self.exchange is not exchange:
            return  # it was forsaken before
        self.exchange = None
        if self.lost or self._lingering:
            return
        if not self._reply.told:
            self._say(TEXT, error_event(RelayError("upstream_truncated"), exchange.id))
        self._reply = ReplyReader()  # one that broke off holds the half of an event
        if self.plane.draining:
            self.part(RESTART)
        else:
            self.idle_since = self._heard = self.plane.now()
            self._rest()

    # -- the end --------------------------------------------------------------------------

    def expire(self) -> None:
        """Called by the sweep: asks a silent client whether it is there, ends what is over."""
        now = self.plane.now()
        if self._lingering:
            if self.deadline < self.idle_since + self._patience \
                    and self.transport.get_write_buffer_size():
                self.deadline += CLOSE_SECONDS  # it has not read all that was said before
            else:
                self.transport.abort()
        elif now >= self._ends_at or now - self._heard >= self._patience:
            self.part(GOING_AWAY)
        else:
            if not self.write_paused:
                self._say(PING, b"")
            self._rest()

    def leave(self) -> None:
        """The relay stops: an idle socket is told to come again."""
        if self.exchange is None and not self._lingering:
            self.part(RESTART)

    def part(self, code: int) -> None:
        """Says the close, ends what is under way, and waits a little for the client's own."""
        self._say(CLOSE, close_payload(code))
        self._lingering = True
        self.idle_since = self.plane.now()
        self.deadline = self.idle_since + CLOSE_SECONDS
        self._forsake()

    def _forsake(self) -> None:
        """Nobody waits for the running response any more; one that is all told ends by itself."""
        exchange, self.exchange = self.exchange, None
        if exchange is not None and self._reply.ended:
            self.write_paused = False
            if exchange.attempt is not None:
                exchange.attempt.resume()
        elif exchange is not None:
            exchange.client_gone = True
            if not self.plane.abandoned.take(exchange):
                exchange.interrupt(ClientLeft())

    @property
    def _patience(self) -> float:
        return self.plane.policy.server.idle_seconds

    def _rest(self) -> None:
        self.deadline = self.plane.now() + self._patience / PINGS

    def _say(self, opcode: int, payload: bytes) -> None:
        if not self.lost:
            self.transport.write(frame(opcode, payload))
