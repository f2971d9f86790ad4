"""Two ends of a WebSocket session, and the messages that go between them by direct call.

From the provider whole messages pass with the frames that they came in; from the client each one
is written anew (wire/openai_realtime.py). Control frames are for one hop: pings are answered here,
and a close is told to the other side: a provider's with its code, a client's always in one way.

Law: bounded both ways. An end that does not read stops the other from being read; what the relay
itself says to a client that does not read is bounded too; a side that is silent although it was
asked ends the session. Nothing is kept but a message that is not whole yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from secrets import token_bytes
from typing import TYPE_CHECKING, Final

from relayd.core.errors import RelayError
from relayd.relay.ends import Backlog, End
from relayd.relay.exchange import Exchange
from relayd.relay.opening import mark
from relayd.relay.overload import Share
from relayd.relay.upstream import UpstreamConnection
from relayd.wire.openai_realtime import ClientEvent, read_event
from relayd.wire.provider_error import names_operator
from relayd.wire.reply_realtime import SessionReader, error_event
from relayd.wire.websocket import (
    BINARY, CLOSE, GOING_AWAY, INTERNAL, MESSAGES_MAX, NORMAL, PING, PONG, POLICY,
    RESTART, TEXT, TOO_BIG, TRY_LATER, UNSUPPORTED, Message, close_code, close_payload, frame,
)

if TYPE_CHECKING:
    from relayd.relay.plane import Plane

OWN_BYTES_MAX: Final = 256 * 1024
"""How much may wait for a client when the relay itself answers it once more."""
CLOSE_SECONDS: Final = 2.0
"""How long a client may take to answer a close."""
SESSION_SECONDS_MAX: Final = 2 * 3600.0
"""Providers end a session after 30 or 60 minutes."""
TICK_SECONDS_MAX: Final = 5.0

_CLOSE_CODES: Final = {
    "draining": RESTART, "session_too_long": GOING_AWAY, "overloaded": TRY_LATER,
    "expired_key": POLICY, "invalid_key": POLICY, "account_suspended": POLICY,
    "cross_border_consent_required": POLICY, "training_consent_required": POLICY,
}
"""What a client is told with the close; INTERNAL where no row is."""
_HEARD: Final = frozenset({"input_audio_buffer.append", "input_audio_buffer.commit"})
"""What the provider answers by itself where it is to find a speaker's turns, which is usual."""


class Tunnel:
    """One session between its handshake and its end. `over` says that its story may go on.

    `error` is why the relay ended it, if it did; `left`: the client was gone without a word;
    `provider_code`: the code of the provider's own close.
    """

    __slots__ = ("client", "provider", "error", "left", "provider_code", "over", "session",
                 "_plane", "_exchange", "_upstream", "_provider_open", "_client_open", "_timer",
                 "_tick_seconds", "_ends_at", "_recheck", "_spent", "_share", "_asked", "_told")

    def __init__(self, plane: Plane, exchange: Exchange, upstream: UpstreamConnection,
                 session: SessionReader, recheck: Callable[[], None]) -> None:
        now = plane.now()
        self.client = End(True, self._from_client, self._client_gone, self._flow)
        self.provider = End(False, self._from_provider, self._provider_gone, self._flow)
        self._asked = Backlog(self.client.reader, self._hear, self._hold, MESSAGES_MAX)
        self._told = Backlog(self.provider.reader, self._pass, self._hold)
        self.client.heard = self.provider.heard = now
        self.error: RelayError | None = None
        self.left = False
        self.provider_code: int | None = None
        self.over = False
        self.session = session
        self._plane = plane
        self._exchange = exchange
        self._upstream = upstream
        self._provider_open = True
        self._client_open = True
        self._recheck = recheck
        self._share = Share(plane.overload)
        self._spent = False
        """A response has been paid for since the limits were looked at."""
        self._ends_at = now + SESSION_SECONDS_MAX
        self._tick_seconds = min(TICK_SECONDS_MAX, self._provider_idle() / 4,
                                 exchange.policy.server.idle_seconds / 4)
        self._timer = asyncio.get_running_loop().call_later(self._tick_seconds, self._tick)

    def _provider_idle(self) -> float:
        return self._exchange.policy.providers[self._exchange.provider or ""].timeouts.idle

    # -- from the client ------------------------------------------------------------------

    def _from_client(self, data: bytes) -> None:
        self.client.heard = self._plane.now()
        self._asked.put(data)
        self._after_client()

    def _hear(self, message: Message) -> None:
        if message.opcode == CLOSE:
            self._client_closes(close_code(message.payload))
        elif not self._client_open:
            return  # said before it has heard our close
        elif message.opcode == TEXT:
            self._ask(read_event(
                message.payload, self._exchange.policy.body_policies["openai"]))
        elif message.opcode == BINARY:
            self._misused(UNSUPPORTED)
        else:
            self._control(message, self.client, self._say)

    def _after_client(self) -> None:
        reader = self.client.reader
        if self._asked.waits:
            return
        if reader.fault and self._client_open:
            self._misused(reader.fault)
        try:
            self._share.weigh(self._exchange.policy.server, reader.kept)
        except RelayError as error:
            self.fail(error)

    def _ask(self, event: ClientEvent) -> None:
        if event.error is None and (
                event.type == "response.create" or self._spent and event.type in _HEARD):
            event = self._admitted(event)
        if event.error is None:
            if event.type not in _HEARD:
                self.session.tell(len(event.data))
            self._to_provider(TEXT, event.data)
            return
        self._plane.turn.flush()  # else the buffer does not show what this client does not read
        if self._exchange.connection.transport.get_write_buffer_size() > OWN_BYTES_MAX:
            self._misused(POLICY)
        else:
            self._say(TEXT, error_event(event.error, event.event_id, self._exchange.id))

    def _admitted(self, event: ClientEvent) -> ClientEvent:
        """What leads to a response, refused where the limits have no room for more."""
        ticket = self._exchange.ticket
        self._spent = True
        try:
            self._recheck()
            if ticket is not None:
                ticket.go_on()
            asks = event.type == "response.create"
            self._plane.wallets.go_on(self._exchange, self.session.awaited + asks)
            if asks:
                self.session.ask()
        except RelayError as error:
            return event._replace(error=error)
        self._spent = False
        return event

    def _misused(self, code: int) -> None:
        """The client has broken the protocol, or its bounds."""
        name = "body_too_large" if code == TOO_BIG else "websocket_protocol"
        self._fail(RelayError(name), code, told=False)

    def _client_closes(self, code: int) -> None:
        """The client's close: answered, and told to the provider; or its answer to ours."""
        if self._client_open:
            self._say(CLOSE, close_payload(code))
            self._client_open = False
            self._part_with_provider(NORMAL)  # its own code would tell whose it is
        self._finish()

    def _client_gone(self, error: Exception | None, lost: bool) -> None:
        self._asked.flush()
        if self._client_open:
            self._client_open = False
            self.left = True
        self._part_with_provider(GOING_AWAY)
        self._finish()
        if lost:
            self._exchange.connection.connection_lost(error)

    # -- from the provider ----------------------------------------------------------------

    def _from_provider(self, data: bytes) -> None:
        self.provider.heard = self._plane.now()
        self._told.put(data)
        self._after_provider()

    def _pass(self, message: Message) -> None:
        if not self._provider_open:
            return
        if message.opcode in (TEXT, BINARY):  # whoever writes JSON as bytes is read too
            self._tell(message)
        elif message.opcode == CLOSE:
            self._provider_closes(message.payload)
        else:
            self._control(message, self.provider, self._to_provider)

    def _after_provider(self) -> None:
        if self.provider.reader.fault and self._provider_open and not self._told.waits:
            self.fail(RelayError("upstream_protocol"))

    def _tell(self, message: Message) -> None:
        """Passes an event on: looked at first, because a few kinds must not pass."""
        exchange = self._exchange
        instead = self.session.passing(message.payload)
        if exchange.first_byte is None:
            exchange.first_byte = self._plane.now()
        if instead is None:
            exchange.connection.write(message.raw)
        elif instead:
            exchange.connection.write(frame(message.opcode, instead))
        usage = self.session.usage
        if usage is not None and usage is not exchange.usage:
            exchange.usage = usage
            self._spent = True
            # a response is paid for: known from now on, whatever becomes of this process
            self._plane.meter.mark(mark(exchange))
            if exchange.ticket is not None:
                exchange.ticket.spend(usage.input_tokens + usage.output_tokens)
            self._plane.wallets.spend(exchange, usage, self.session.awaited)

    def _provider_closes(self, payload: bytes) -> None:
        self.provider_code = code = close_code(payload)
        self._part_with_provider(code)
        secrets = self._exchange.policy.secrets[self._exchange.provider or ""]
        reason = b"" if names_operator(payload[2:], secrets) else payload[2:]
        self._part_with_client(close_payload(code, reason))

    def _provider_gone(self, error: Exception | None, lost: bool) -> None:
        self._told.flush()
        if self._provider_open:
            self.fail(RelayError("upstream_truncated"))
        if lost:
            self._upstream.connection_lost(None)  # the pool forgets it

    # -- both -----------------------------------------------------------------------------

    def _control(self, message: Message, side: End, say: Callable[[int, bytes], None]) -> None:
        """A ping is answered, a pong was an answer; too many of them end the session."""
        if side.pace.exceeded(side.heard):
            if side is self.client:
                self._misused(POLICY)
            else:
                self.fail(RelayError("upstream_protocol"))
        elif message.opcode == PING and not side.paused:
            say(PONG, message.payload)

    def _say(self, opcode: int, payload: bytes) -> None:
        self._exchange.connection.write(frame(opcode, payload))

    def _to_provider(self, opcode: int, payload: bytes) -> None:
        if self._provider_open:
            self._upstream.transport.write(frame(opcode, payload, token_bytes(4)))

    def _flow(self) -> None:
        """Reads each side exactly while the other one keeps up."""
        connection = self._exchange.connection
        connection.write_paused = self.client.paused
        self._read()
        # who has not been read so far could not be heard
        self.client.heard = self.provider.heard = self._plane.now()

    def _read(self) -> None:
        connection = self._exchange.connection
        if self._provider_open:
            _set_reading(self._upstream.transport, not (self.client.paused or self._told.waits))
        if not connection.lost:
            _set_reading(connection.transport, not (
                self.provider.paused and self._provider_open or self._asked.waits))

    def _hold(self, waits: bool) -> None:
        """Some of what a side has sent waits for its turn, or does not any more."""
        self._read()
        if not waits:
            self._after_client()
            self._after_provider()

    # -- the end --------------------------------------------------------------------------

    def fail(self, error: RelayError) -> None:
        """The relay ends the session: the client is told why in an event and in the close."""
        self._fail(error, _CLOSE_CODES.get(error.code, INTERNAL), told=True)

    def _fail(self, error: RelayError, code: int, told: bool) -> None:
        if self.over or not self._client_open:
            self._finish()
            return
        self.error = error
        self._part_with_provider(GOING_AWAY)
        if told:
            self._say(TEXT, error_event(error, None, self._exchange.id))
        self._part_with_client(close_payload(code, error.code.encode()))

    def _part_with_client(self, payload: bytes) -> None:
        """Says the close, then waits a little for the client's own."""
        self._say(CLOSE, payload)
        self._client_open = False
        self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(CLOSE_SECONDS, self._finish)

    def _part_with_provider(self, code: int) -> None:
        if not self._provider_open:
            return
        self._to_provider(CLOSE, close_payload(code))
        self._provider_open = False
        transport = self._upstream.transport
        if transport.get_write_buffer_size():
            transport.abort()  # it does not read: nothing more can be told
        else:
            transport.close()
        self._flow()

    def _finish(self) -> None:
        if not self.over:
            self.over = True
            self._timer.cancel()
            self._exchange.wake()

    def stop(self) -> None:
        """The story goes on without it, whatever was under way."""
        self._part_with_provider(GOING_AWAY)
        self._client_open = False
        self.over = True
        self._timer.cancel()
        self._asked.forget()
        self._told.forget()
        self.client.reader.forget()  # both are in a circle with their ends, and stay for a while
        self.provider.reader.forget()
        self._share.give_back()

    def _tick(self) -> None:
        """Asks sides that are silent whether they are there; ends what has waited too long."""
        now = self._plane.now()
        self._timer = asyncio.get_running_loop().call_later(self._tick_seconds, self._tick)
        if now >= self._ends_at:
            self.fail(RelayError("session_too_long"))
            return
        try:
            self._recheck()
        except RelayError as error:
            self.fail(error)
            return
        # a side that is not read, because the other one is slow, cannot be heard
        if not self._alive(self.provider, now, self._provider_idle(), self.client.paused):
            self.fail(RelayError("upstream_stalled"))
        elif not self._alive(self.client, now, self._exchange.policy.server.idle_seconds,
                             self.provider.paused):
            self._exchange.connection.transport.abort()

    def _alive(self, side: End, now: float, patience: float, unread: bool) -> bool:
        silent = 0.0 if unread else now - side.heard
        if silent > patience or (side.paused and now - side.paused_at > patience):
            return False
        if silent > patience / 3 and not side.paused:
            (self._say if side is self.client else self._to_provider)(PING, b"")
        return True


def _set_reading(transport: asyncio.Transport, wanted: bool) -> None:
    if transport.is_closing() or transport.is_reading() == wanted:
        return
    if wanted:
        transport.resume_reading()
    else:
        transport.pause_reading()
