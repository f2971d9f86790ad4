"""One attempt: a connection, the request for this deployment, the head of its reply.

Law: nothing goes out before the journal has the call. Only a kept connection that the provider had
closed before it said anything is replaced here (RFC 9112 section 9.3.1); all else is decided by
who asked for the attempt.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from relayd.core.errors import RelayError
from relayd.core.exchange import TO_DISPATCHED
from relayd.core.provider import Provider
from relayd.ops.tasks import PAUSE
from relayd.relay.exchange import ClientLeft, Exchange
from relayd.relay.opening import mark, opening
from relayd.relay.plan import Place
from relayd.relay.pool import Pool
from relayd.relay.receive import feed_upload
from relayd.relay.tokenizer import encoding_for
from relayd.relay.upstream import Attempt, UpstreamConnection
from relayd.wire.body import write
from relayd.wire.identity import Pseudonyms

if TYPE_CHECKING:
    from relayd.relay.plane import Plane

NOBODY: Final = Pseudonyms(b"", "")
"""For bodies in which nothing stands for the client."""


def result_of(status: int) -> str:
    """The word of ops/metrics.py for an attempt that was answered with this status."""
    return "head" if status < 400 else f"status_{status // 100}xx"


class Sender:
    """Sends exchanges to deployments."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane

    async def attempt(
        self, exchange: Exchange, place: Place, model: str, begun: Attempt | None = None
    ) -> Attempt:
        """Sends the exchange there, or waits for `begun`, which was; returns when the head of the
        reply has come."""
        if begun is None:
            self.announce(exchange, place, model)
        # an upload cannot be sent twice: it is not risked on a connection that may be stale
        fresh = exchange.upload is not None
        while True:
            attempt = begun or await self._send(exchange, place, model, fresh)
            begun = None
            try:
                while attempt.head is None and attempt.error is None:
                    await PAUSE
            except RelayError as ended:
                self.count_ended(place.provider, ended)
                raise
            self.count(attempt, place.provider)
            error = attempt.error
            if error is None:
                return attempt
            if fresh or not attempt.stale(self._plane.now()) or exchange.ask is None:
                raise error
            fresh = True
            self.again(exchange)

    async def _send(
        self, exchange: Exchange, place: Place, model: str, fresh: bool
    ) -> Attempt:
        """Sends it over a kept connection, or over one that is opened for it (`fresh`)."""
        connection = None if fresh else place.pool.take()
        if connection is None:
            connection = await self.open(exchange, place.pool)
        if exchange.upload is None:
            return self.put(exchange, place, model, connection)
        attempt = self._begin(exchange, place)
        await self._upload(exchange, attempt, place.provider, model, connection)
        return attempt

    def announce(self, exchange: Exchange, place: Place, model: str) -> None:
        """Writes the call's opening before anything is sent, then where it is sent instead.

        Raises ClientLeft where nobody waits for another attempt.
        """
        if exchange.client_gone:
            raise ClientLeft
        provider = place.provider
        exchange.provider = provider.name
        exchange.provider_model = model
        exchange.place = place
        if exchange.opened:
            self._plane.meter.mark(mark(exchange, begins=1))
        else:
            self._plane.meter.open(opening(exchange))
            exchange.opened = True
        exchange.phase = TO_DISPATCHED[exchange.phase]
        total = provider.timeouts.total
        exchange.last_deadline = exchange.started + total if total else 0.0

    def again(self, exchange: Exchange) -> None:
        """Writes that it is sent once more, in the place of what met a stale connection."""
        self._plane.meter.mark(mark(exchange, begins=1))

    def put(
        self, exchange: Exchange, place: Place, model: str, connection: UpstreamConnection
    ) -> Attempt:
        """Sends a request that is whole, and has its prompt counted while the provider thinks.

        What comes of it is in the attempt.
        """
        plane, provider = self._plane, place.provider
        heads, ask, endpoint = exchange.policy.heads, exchange.ask, exchange.target.endpoint
        assert ask is not None and endpoint is not None
        attempt = self._begin(exchange, place)
        names = heads.pseudonyms(exchange, provider) if ask.stand_ins else NOBODY
        body = write(ask, model, names,
                     stream_usage=provider.stream_usage,
                     unstored=place.keeps_unless_told and endpoint.operation == "chat")
        head = heads.head(exchange, provider, model, len(body), attempt.turn)
        connection.begin(attempt, head + body)
        if attempt.reused and exchange.attempts == 1:
            plane.metrics.observe_overhead(plane.now() - exchange.ready)
        if exchange.prompt is None and plane.counting.wanted(provider.name, model, endpoint):
            plane.turn.last(partial(self._count, exchange, model, len(body)))
        return attempt

    def _begin(self, exchange: Exchange, place: Place) -> Attempt:
        """The exchange's next attempt; the provider has its time from now on."""
        exchange.attempts += 1
        story = exchange.story
        attempt = exchange.attempt = Attempt(exchange.wake if story is None else story.wake)
        began = attempt.began = self._plane.now()
        exchange.deadline = began + place.provider.timeouts.first_byte
        exchange.expire_code = "upstream_timeout"
        credentials = place.health.credentials
        if credentials.many:
            attempt.turn = credentials.take(began)
        return attempt

    def count(self, attempt: Attempt, provider: Provider) -> None:
        """Adds an attempt that has ended to the metrics."""
        if attempt.head is not None:
            result = result_of(attempt.head.status)
        else:
            assert attempt.error is not None
            result = attempt.error.code
        self._plane.metrics.attempt(provider.name, result)

    def count_ended(self, provider: Provider, error: RelayError) -> None:
        """Adds one that the relay ended: the provider was silent for too long."""
        if error.kind.side == "upstream":
            self._plane.metrics.attempt(provider.name, error.code)

    def _expect_answer(self, exchange: Exchange, attempt: Attempt, provider: Provider) -> None:
        """From now on it is the provider that keeps us waiting."""
        attempt.began = self._plane.now()
        exchange.deadline = attempt.began + provider.timeouts.first_byte
        exchange.expire_code = "upstream_timeout"

    def _expect_body(self, exchange: Exchange) -> None:
        """From now on it is the client that keeps us waiting."""
        exchange.deadline = exchange.started + exchange.policy.server.body_seconds
        exchange.expire_code = "request_timeout"

    async def open(self, exchange: Exchange, pool: Pool) -> UpstreamConnection:
        """Waits for a connection that is opened for the exchange; raises what became of it."""
        new = pool.open(exchange.wake)
        exchange.deadline = 0.0  # the pool's own connect timeout applies
        try:
            while new.connection is None and new.error is None:
                await PAUSE
        except (ClientLeft, RelayError):  # the client left, or its body went wrong meanwhile
            new.abandon()
            raise
        if new.connection is None:
            assert new.error is not None
            self.count_unopened(exchange, pool, new.error)
            raise new.error
        return new.connection

    def count_unopened(self, exchange: Exchange, pool: Pool, error: RelayError) -> None:
        """Counts an attempt that got no connection."""
        exchange.attempts += 1
        self._plane.metrics.attempt(pool.provider.name, error.code)

    def _count(self, exchange: Exchange, model: str, size: int) -> None:
        """Counts the prompt while the provider thinks; once, whatever the number of attempts."""
        endpoint, grant = exchange.target.endpoint, exchange.grant
        if exchange.ask is None or exchange.prompt is not None:
            return  # it has ended before it was sent, or was sent twice
        assert endpoint is not None and grant is not None
        counting = self._plane.counting
        encoding = encoding_for(model)
        exchange.counter = counting.text_counter(encoding)
        exchange.encoding_exact = encoding.exact
        exchange.prompt = counting.prompt(
            endpoint, exchange.ask.fields, size, encoding, grant.account)

    def _count_upload(self, exchange: Exchange, provider: Provider, model: str) -> None:
        """The same for an upload, of whose files no count can be made: its prompt alone."""
        counting, endpoint = self._plane.counting, exchange.target.endpoint
        upload, grant = exchange.upload, exchange.grant
        assert upload is not None and endpoint is not None and grant is not None
        if exchange.prompt is not None or not counting.wanted(provider.name, model, endpoint):
            return
        encoding = encoding_for(model)
        exchange.counter = counting.text_counter(encoding)
        fields = {"prompt": upload.text("prompt")}
        exchange.prompt = counting.prompt(
            endpoint, fields, len(fields["prompt"]), encoding, grant.account)

    async def _upload(
        self, exchange: Exchange, attempt: Attempt, provider: Provider, model: str,
        connection: UpstreamConnection,
    ) -> None:
        """Sends a multipart body: whole if it is here, else as it arrives, with backpressure."""
        upload = exchange.upload
        assert upload is not None
        heads, turn = exchange.policy.heads, attempt.turn
        names = heads.pseudonyms(exchange, provider)
        feed_upload(exchange)  # what has come while the connection was opened
        self._count_upload(exchange, provider, model)
        pieces = upload.take(model, names)
        if upload.whole:
            body = b"".join(pieces)
            head = heads.head(exchange, provider, model, len(body), turn)
            connection.begin(attempt, head + body)
            return
        connection.begin(attempt, heads.head(exchange, provider, model, None, turn))
        self._plane.turn.flush()
        connection.owes = True
        client = exchange.connection
        while attempt.pending:
            for piece in pieces:
                connection.transport.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            if exchange.body_complete and upload.finished and not exchange.pieces:
                connection.transport.write(b"0\r\n\r\n")
                connection.owes = False
                break
            if connection.write_paused:
                client.pause_reading()
                self._expect_answer(exchange, attempt, provider)
            else:
                client.resume_reading()
                client.invite_body()
                self._expect_body(exchange)
            await PAUSE
            if not connection.write_paused or exchange.body_complete:
                feed_upload(exchange)
            pieces = upload.take(model, names)
        exchange.dropped = upload.dropped
        client.resume_reading()
        self._expect_answer(exchange, attempt, provider)
