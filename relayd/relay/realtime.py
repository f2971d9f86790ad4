"""The story of a realtime session: handshake, deployment, 101, tunnel, record (RFC 6455).

A session is one request: it has one record, whose usage is the sum of its responses'. Before the
client's 101 everything is as for a call over HTTP: the same key, routes, journal, and errors in
the API's shape. Law: nothing is tunnelled before the provider's own 101 has been checked; what the
client sends before is held, bounded, by its connection.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Callable, Sequence
from secrets import token_bytes
from typing import TYPE_CHECKING, Final

from relayd.core.errors import RelayError
from relayd.core.exchange import TO_ADMITTED, TO_DISPATCHED, TO_STREAMING
from relayd.core.retry import kind_of
from relayd.core.snapshot import Snapshot
from relayd.core.usage import ENDINGS
from relayd.ops.tasks import PAUSE
from relayd.relay.authenticate import authenticate, check
from relayd.relay.exchange import ClientLeft, Exchange
from relayd.relay.faults import Fault
from relayd.relay.opening import mark, opening
from relayd.relay.plan import Place, require
from relayd.relay.sender import result_of
from relayd.relay.tokenizer import encoding_for
from relayd.relay.tunnel import Tunnel
from relayd.relay.upstream import Attempt, UpstreamConnection
from relayd.wire.handshake import (
    KEY_BYTES, Asked, accepting, check_accepted, read_answer, read_handshake,
)
from relayd.wire.reply_realtime import SessionReader
from relayd.wire.websocket import GOING_AWAY, NO_CODE, NORMAL

if TYPE_CHECKING:
    from relayd.relay.plane import Plane

ELSEWHERE: Final = frozenset({
    "upstream_connect", "upstream_proxy", "upstream_tls", "upstream_busy", "upstream_reset",
    "upstream_timeout", "upstream_protocol", "provider_failed", "provider_rate_limited",
    "provider_auth", "provider_quota", "provider_forbidden", "provider_rejected",
})
"""Errors after which the next deployment is asked: a session that has not begun costs nothing."""
_OTHERS_FAULT: Final = {
    401: "provider_auth", 402: "provider_quota", 403: "provider_forbidden",
    404: "provider_rejected", 429: "provider_rate_limited",
}
"""What is no fault of the request, as for calls over HTTP: another deployment may take it."""
_USUAL_CLOSES: Final = frozenset({NORMAL, GOING_AWAY, NO_CODE})
_CLIENTS_FAULT: Final = frozenset({"websocket_protocol", "body_too_large"})


class Link(asyncio.Protocol):
    """A provider's connection while it has not answered the handshake. `asks`: the consents
    without which nothing goes there (relay/plan.py)."""

    __slots__ = ("answer", "error", "data", "asks", "_connection", "_wake")

    def __init__(
        self, connection: UpstreamConnection, asks: int, wake: Callable[[], None]
    ) -> None:
        self.asks = asks
        self.answer: tuple[int, bytes, int] | None = None
        """As `read_answer` has it."""
        self.error: RelayError | None = None
        self.data = b""
        self._connection = connection
        self._wake = wake

    def data_received(self, data: bytes) -> None:
        """The head of the answer, and what comes with it."""
        self.data += data
        if self.answer is None and self.error is None:
            try:
                self.answer = read_answer(self.data)
            except RelayError as error:
                self.error = error
            self._wake()

    def eof_received(self) -> bool:
        """The provider has nothing to say."""
        self._lost()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone; its pool forgets it."""
        self._lost()
        self._connection.connection_lost(None)

    def rest(self) -> bytes:
        """What has come behind the answer's head, which is not kept here any longer."""
        assert self.answer is not None
        rest, self.data = self.data[self.answer[2]:], b""
        return rest

    def _lost(self) -> None:
        if self.answer is None and self.error is None:
            self.error = RelayError("upstream_reset")
            self._wake()


class Realtime:
    """Serves `/v1/realtime`."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane

    async def serve(self, exchange: Exchange) -> None:
        """From a head with a valid key to the end of the session. Raises what ends it before."""
        plane = self._plane
        asked = read_handshake(exchange.head)
        plane.overload.check(exchange.policy.server, len(plane.inflight))
        exchange.stream = True
        exchange.dropped = asked.dropped
        plan = plane.dispatcher.plan(exchange, asked.model)
        plane.admission.admit(exchange, b"")  # its tokens are taken as they are used
        plane.wallets.admit(exchange, plan, b"")
        exchange.phase = TO_ADMITTED[exchange.phase]
        places = plane.dispatcher.places(exchange, plan)
        connection, link = await self._connect(exchange, asked, places)
        assert link.answer is not None
        if link.answer[0] == 101:
            exchange.deadline = 0.0
            await self._relay(exchange, asked, connection, link)
        else:
            await self._pass_refusal(exchange, connection, link.data)

    async def _connect(
        self, exchange: Exchange, asked: Asked, places: Sequence[Place]
    ) -> tuple[UpstreamConnection, Link]:
        """The first deployment that answers; raises the last error where none does."""
        error = RelayError("upstream_connect")
        for number, place in enumerate(places):
            last = number == len(places) - 1
            try:
                found = await self._try(exchange, asked, place, last)
            except RelayError as failed:
                if failed.code not in ELSEWHERE:
                    raise
                error = failed
                fault = Fault(kind_of(failed.code, failed.status), failed)
                if fault.rule.scope != "credential":
                    self._plane.faults.note(place, None, fault)
            else:
                self._note(place, found[1])
                return found
        raise error

    def _note(self, place: Place, link: Link) -> None:
        """What an answer that goes to the client says of its deployment."""
        assert link.answer is not None
        code = _failure(link.answer[0])
        if code is None:
            place.health.answered()
            return
        fault = Fault(kind_of(code, link.answer[0]), None)
        if fault.rule.scope != "credential":
            self._plane.faults.note(place, None, fault)

    async def _try(
        self, exchange: Exchange, asked: Asked, place: Place, last: bool
    ) -> tuple[UpstreamConnection, Link]:
        plane = self._plane
        provider, model = place.provider, place.sends or asked.model
        exchange.provider = provider.name
        exchange.provider_model = model
        if exchange.opened:
            plane.meter.mark(mark(exchange, begins=1))
        else:
            plane.meter.open(opening(exchange))
            exchange.opened = True
        exchange.phase = TO_DISPATCHED[exchange.phase]
        # one of its own: after an upgrade it can carry nothing else
        connection = await plane.sender.open(exchange, place.pool)
        exchange.attempts += 1
        exchange.deadline = plane.now() + provider.timeouts.first_byte
        exchange.expire_code = "upstream_timeout"
        link = Link(connection, place.asks, exchange.wake)
        try:
            await self._shake(exchange, asked, place, connection, link)
            assert link.answer is not None
            status = link.answer[0]
            code = _failure(status)
            if code is not None and not last:
                raise RelayError(code, status=status)
        except (RelayError, ClientLeft) as error:
            connection.abort()
            if isinstance(error, RelayError):
                answered = error.code.startswith("provider_")
                plane.metrics.attempt(
                    provider.name, result_of(error.status) if answered else error.code)
            raise
        plane.metrics.attempt(provider.name, result_of(status))
        return connection, link

    async def _shake(
        self, exchange: Exchange, asked: Asked, place: Place, connection: UpstreamConnection,
        link: Link,
    ) -> None:
        """Sends the handshake and waits for its answer, which has been checked if it is a 101."""
        provider, model = place.provider, place.sends or asked.model
        turn = place.health.credentials.take(self._plane.now())
        key = b64encode(token_bytes(KEY_BYTES))
        connection.transport.set_protocol(link)
        connection.transport.write(
            exchange.policy.heads.handshake(exchange, provider, model, key, asked.beta, turn))
        while link.answer is None and link.error is None:
            await PAUSE
        if link.answer is None:
            assert link.error is not None
            raise link.error
        if link.answer[0] == 101:
            check_accepted(link.answer[1], key)
        elif link.answer[0] < 400:
            raise RelayError("upstream_protocol")

    async def _pass_refusal(
        self, exchange: Exchange, connection: UpstreamConnection, data: bytes
    ) -> None:
        """The provider's error is told as that of any call is: read whole, and judged."""
        attempt = exchange.attempt = Attempt(exchange.wake)
        connection.transport.set_protocol(connection)
        connection.begin(attempt, b"")
        connection.data_received(data)
        while attempt.head is None and attempt.error is None:
            await PAUSE
        if attempt.error is not None:
            raise attempt.error
        exchange.keep_alive = False
        await self._plane.streamer.copy(exchange, attempt)

    async def _relay(
        self, exchange: Exchange, asked: Asked, connection: UpstreamConnection, link: Link
    ) -> None:
        """Says 101 and carries the session to its end."""
        self._count(exchange)
        secrets = exchange.policy.secrets[exchange.provider or ""]
        session = SessionReader(secrets, exchange.counter)
        recheck = self._recheck(exchange, link.asks)
        tunnel = Tunnel(self._plane, exchange, connection, session, recheck)
        try:
            self._join(exchange, asked, connection, link, tunnel)
            while not tunnel.over:
                await PAUSE
        except RelayError as error:  # the sweep's, or the drain's
            tunnel.fail(error)
        except ClientLeft:
            tunnel.left = tunnel.error is None and tunnel.provider_code is None
        finally:
            tunnel.stop()
        _judge(exchange, tunnel)

    def _join(
        self, exchange: Exchange, asked: Asked, connection: UpstreamConnection, link: Link,
        tunnel: Tunnel,
    ) -> None:
        """Begins with what both have said already, for which no frame that lasts has a name."""
        held = exchange.connection.upgrade(tunnel.client)
        self._accept(exchange, asked)
        connection.transport.set_protocol(tunnel.provider)
        first = link.rest()
        if first:
            tunnel.provider.data_received(first)
        if held:
            tunnel.client.data_received(held)

    def _accept(self, exchange: Exchange, asked: Asked) -> None:
        exchange.keep_alive = True  # else the head would say that the connection ends with it
        exchange.connection.write(
            self._plane.replier.head(exchange, 101, accepting(asked), b""))
        exchange.keep_alive = False
        exchange.status = 101
        exchange.replied = True
        exchange.phase = TO_STREAMING[exchange.phase]

    def _count(self, exchange: Exchange) -> None:
        """Text of the answers is counted; what a model is given, and sound, cannot be."""
        counting = self._plane.counting
        endpoint = exchange.target.endpoint
        model = exchange.provider_model or ""
        assert endpoint is not None
        if counting.wanted(exchange.provider or "", model, endpoint):
            encoding = encoding_for(model)
            exchange.counter = counting.text_counter(encoding)
            exchange.encoding_exact = encoding.exact

    def _recheck(self, exchange: Exchange, asks: int) -> Callable[[], None]:
        """A function that raises where the session's key would not be accepted any more, or its
        account has withdrawn a consent that the provider asks for."""
        plane = self._plane
        head, grant = exchange.head, exchange.grant
        assert grant is not None
        seen: Snapshot = plane.view.current

        def recheck() -> None:
            nonlocal seen, grant
            assert grant is not None
            if plane.view.current is seen:
                check(grant, plane.unix_ms())
            else:
                grant = authenticate(head.fields, head.query, plane.view.current, plane.pepper,
                                     plane.unix_ms())
                require(grant, asks)
                seen = plane.view.current
        return recheck


def _failure(status: int) -> str | None:
    """The code of an answer to a handshake after which another deployment may do better."""
    if status == 408 or status >= 500:
        return "provider_failed"
    return _OTHERS_FAULT.get(status)


def _judge(exchange: Exchange, tunnel: Tunnel) -> None:
    """How the session ended, for its record."""
    session = tunnel.session
    exchange.usage = session.usage
    exchange.usage_covers = not session.running
    if session.heard_sound:
        exchange.counter = None  # the text alone would be taken for all of it
    _judge_end(exchange, tunnel)
    if session.running and ENDINGS[exchange.ending].basis in ("whole", "so_far"):
        exchange.usage, exchange.counter = session.so_far(), None


def _judge_end(exchange: Exchange, tunnel: Tunnel) -> None:
    session = tunnel.session
    error = tunnel.error
    if error is not None and error.kind.side == "client":
        exchange.ending = "left" if error.code in _CLIENTS_FAULT else "completed"
        exchange.error = error.code
    elif error is not None:
        exchange.fail(error)
    elif tunnel.provider_code is not None:
        usual = tunnel.provider_code in _USUAL_CLOSES
        exchange.ending = "completed" if usual else "provider_failed"
        exchange.error = None if usual else session.failed or "provider_stream_error"
    elif tunnel.left or session.running:
        exchange.leave()
    else:
        exchange.ending = "completed"
