"""Dispatch: chooses deployments, sends the request, returns at the first head of a reply.

Law: nothing is sent again once a byte of a reply has gone to the client; before that only what is
safe: a connection that could not be made, and a kept connection that the provider had closed
before it said anything (RFC 9110 section 9.2.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from relayd.core.errors import RelayError
from relayd.core.exchange import Phase
from relayd.core.provider import Provider
from relayd.core.record import MODEL_UNKNOWN
from relayd.core.route import Deployment, order
from relayd.core.snapshot import KeyGrant
from relayd.ops.tasks import PAUSE
from relayd.relay.exchange import ClientLeft, Exchange
from relayd.relay.opening import mark, opening
from relayd.relay.policy import Place
from relayd.relay.pool import Pool
from relayd.relay.receive import feed_upload
from relayd.relay.upstream import Attempt, UpstreamConnection
from relayd.wire.body import write
from relayd.wire.identity import Pseudonyms

if TYPE_CHECKING:
    from relayd.relay.plane import Plane

UNSENT: Final = frozenset({"upstream_connect", "upstream_tls", "upstream_busy"})
"""Errors after which the next deployment is tried: the request has not been sent."""

NOBODY: Final = Pseudonyms(b"", "")
"""For bodies in which nothing stands for the client."""


def allowed(grant: KeyGrant, model: str) -> bool:
    """Whether a key may use a model; a name in its list may end with `*`."""
    models = grant.models
    if models is None or model in models:
        return True
    return any(m.endswith("*") and model.startswith(m[:-1]) for m in models)


def _result(status: int) -> str:
    """The word of ops/metrics.py for a reply's status."""
    return "ok" if status < 400 else f"status_{status // 100}xx"


class Dispatcher:
    """Sends exchanges upstream."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane

    def plan(self, exchange: Exchange, model: str) -> Sequence[Place]:
        """The deployments to try, in order; raises unknown_model or model_not_allowed."""
        plane = self._plane
        policy = exchange.policy
        route = policy.routes.find(model)
        if route is None:
            exchange.model = MODEL_UNKNOWN
            raise RelayError("unknown_model", param="model")
        exchange.model = model
        assert exchange.grant is not None
        if not allowed(exchange.grant, model):
            raise RelayError("model_not_allowed", param="model")
        places = policy.plans[exchange.target.api, route.pattern]
        if len(places) > 1:
            return [places[n] for n in order([d for d, _ in places], plane.dice())]
        if not places:
            raise RelayError("unknown_model", param="model")
        return places

    async def send(self, exchange: Exchange, plan: Sequence[Place]) -> Attempt:
        """Tries the plan in order; returns the attempt whose reply's head has come."""
        error = RelayError("upstream_connect")
        for deployment, provider in plan:
            try:
                return await self._try(exchange, deployment, provider)
            except RelayError as failed:
                if failed.code not in UNSENT:
                    raise
                error = failed
        raise error

    async def _try(
        self, exchange: Exchange, deployment: Deployment, provider: Provider
    ) -> Attempt:
        model = deployment.model or exchange.model
        assert model is not None
        exchange.provider = provider.name
        exchange.provider_model = model
        plane = self._plane
        self._journal(exchange)
        exchange.move(Phase.DISPATCHED)
        if provider.timeouts.total:
            exchange.last_deadline = exchange.started + provider.timeouts.total
        pool = exchange.policy.pools[provider.name]
        # an upload cannot be sent twice: it is not risked on a connection that may be stale
        fresh = exchange.upload is not None
        while True:
            connection = None if fresh else pool.take()
            if connection is None:
                connection = await self._open(exchange, pool)
            exchange.attempts += 1
            attempt = exchange.attempt = Attempt(exchange.wake)
            self._expect_answer(exchange, provider)
            if exchange.upload is not None:
                await self._upload(exchange, attempt, provider, model, connection)
            else:
                self._request(exchange, attempt, provider, model, connection)
            while attempt.head is None and attempt.error is None:
                await PAUSE
            error = attempt.error
            if error is None:
                assert attempt.head is not None
                plane.metrics.attempt(provider.name, _result(attempt.head.status))
                return attempt
            plane.metrics.attempt(provider.name, error.code.removeprefix("upstream_"))
            stale = attempt.reused and not attempt.touched and error.code == "upstream_reset"
            if not stale or fresh or exchange.ask is None:
                raise error
            fresh = True

    def _journal(self, exchange: Exchange) -> None:
        """Writes the call's opening before anything is sent, then where it is sent instead."""
        if exchange.opened:
            self._plane.meter.mark(mark(exchange))
        else:
            self._plane.meter.open(opening(exchange))
            exchange.opened = True

    def _expect_answer(self, exchange: Exchange, provider: Provider) -> None:
        """From now on it is the provider that keeps us waiting."""
        exchange.deadline = self._plane.now() + provider.timeouts.first_byte
        exchange.expire_code = "upstream_timeout"

    def _expect_body(self, exchange: Exchange) -> None:
        """From now on it is the client that keeps us waiting."""
        exchange.deadline = exchange.started + exchange.policy.server.body_seconds
        exchange.expire_code = "request_timeout"

    async def _open(self, exchange: Exchange, pool: Pool) -> UpstreamConnection:
        opening = pool.open(exchange.wake)
        exchange.deadline = 0.0  # the pool's own connect timeout applies
        try:
            while opening.connection is None and opening.error is None:
                await PAUSE
        except (ClientLeft, RelayError):  # the client left, or its body went wrong meanwhile
            opening.abandon()
            raise
        if opening.connection is None:
            assert opening.error is not None
            exchange.attempts += 1
            self._plane.metrics.attempt(
                pool.provider.name, opening.error.code.removeprefix("upstream_"))
            raise opening.error
        return opening.connection

    def _request(
        self, exchange: Exchange, attempt: Attempt, provider: Provider, model: str,
        connection: UpstreamConnection,
    ) -> None:
        """Writes a request that is whole, then counts its prompt while the provider thinks."""
        plane = self._plane
        ask = exchange.ask
        assert ask is not None and exchange.target.endpoint is not None
        operation = exchange.target.endpoint.operation
        names = plane.pseudonyms(exchange, provider) if ask.stand_ins else NOBODY
        body = write(ask, model, names,
                     stream_usage=provider.stream_usage,
                     unstored=provider.keeps_unless_told and operation == "chat")
        connection.begin(
            attempt, exchange.policy.heads.head(exchange, provider, model, len(body)) + body)
        if exchange.prompt is None:
            self._count(exchange, model, len(body))

    def _count(self, exchange: Exchange, model: str, size: int) -> None:
        """Counts the prompt while the provider thinks; once, whatever the number of attempts."""
        counting = self._plane.counting
        endpoint = exchange.target.endpoint
        assert endpoint is not None and exchange.ask is not None
        assert exchange.provider is not None and exchange.grant is not None
        if not counting.wanted(exchange.provider, model, endpoint):
            return
        encoding = counting.encoding(model)
        exchange.counter = counting.text_counter(encoding)
        exchange.encoding_exact = encoding.exact
        exchange.prompt = counting.prompt(
            endpoint, exchange.ask.fields, size, encoding, exchange.grant.account)

    async def _upload(
        self, exchange: Exchange, attempt: Attempt, provider: Provider, model: str,
        connection: UpstreamConnection,
    ) -> None:
        """Sends a multipart body: whole if it is here, else as it arrives, with backpressure."""
        upload = exchange.upload
        assert upload is not None
        heads = exchange.policy.heads
        names = self._plane.pseudonyms(exchange, provider)
        feed_upload(exchange)  # what has come while the connection was opened
        pieces = upload.take(model, names)
        if upload.whole:
            body = b"".join(pieces)
            connection.begin(attempt, heads.head(exchange, provider, model, len(body)) + body)
            return
        connection.begin(attempt, heads.head(exchange, provider, model, None))
        connection.owes = True
        client = exchange.connection
        while attempt.head is None and attempt.error is None:
            for piece in pieces:
                connection.transport.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            if exchange.body_complete and upload.finished and not exchange.pieces:
                connection.transport.write(b"0\r\n\r\n")
                connection.owes = False
                break
            if connection.write_paused:
                client.pause_reading()
                self._expect_answer(exchange, provider)
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
        self._expect_answer(exchange, provider)
