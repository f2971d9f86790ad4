"""The life of a request, one function: authenticate, receive, admit, dispatch, stream, settle.

Every path leaves through `settle()`. A client may leave in any phase; nothing is sent again once a
byte of a reply has gone to the client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relayd.core.errors import RelayError
from relayd.core.exchange import TO_ADMITTED
from relayd.relay.authenticate import authenticate, check
from relayd.relay.exchange import ClientLeft, Exchange
from relayd.relay.plan import Plan
from relayd.relay.receive import receive, receive_upload, whole
from relayd.relay.stream import take_usage
from relayd.wire.body import SPLIT_BYTES_MIN, names_twice, read
from relayd.wire.dialect import Endpoint
from relayd.wire.known import Known
from relayd.wire.multipart import Upload

if TYPE_CHECKING:
    from relayd.relay.plane import Plane

NAMES_TWICE_BYTES_MAX: Final = 64 * 1024
"""A longer body of an unknown model is not read again to say what may be wrong with it."""


class Handler:
    """Tells the story of every exchange."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane

    async def handle(self, exchange: Exchange) -> None:
        """Runs one exchange from its head to its record. Never raises."""
        try:
            await self._serve(exchange)
        except RelayError as error:
            exchange.fail(error)
            self._tell(exchange, error)
        except ClientLeft:
            exchange.leave()
            self._cancel(exchange)
        except Exception as fault:  # the last line of defence: a defect of ours, told by its type
            self._plane.logger.fault("exchange", fault)
            internal = RelayError("internal", close=True)
            exchange.fail(internal)
            self._tell(exchange, internal)
        finally:
            self._plane.settler.settle(exchange)
            exchange.connection.finish(exchange, exchange.keep_alive)

    async def _serve(self, exchange: Exchange) -> None:
        plane = self._plane
        if plane.local.before_key(exchange):
            return
        plane.meter.check()  # what cannot be written down is not begun
        socket = exchange.target.kind == "socket"
        if socket:
            exchange.keep_alive = False  # what comes behind an upgrade may be frames
        self._authenticate(exchange)
        if exchange.head.memo.noted_until <= exchange.started:
            if exchange.policy.server.tls_terminated:
                plane.clear_keys.check(exchange, plane.network)
            plane.network.note(exchange, exchange.started, exchange.started_at_ms)
        if socket:
            await plane.realtime.serve(exchange)
            return
        endpoint = exchange.target.endpoint
        if endpoint is None or exchange.head.method != b"POST":
            await plane.local.answer(exchange)
            return
        plane.overload.check(exchange.policy.server, len(plane.inflight))
        if endpoint.body == "multipart":
            plan = await self._admit_upload(exchange, endpoint)
        else:  # the body gets no name here: this frame lives as long as its reply
            limit = exchange.policy.server.max_body_bytes
            plan = self._admit(
                exchange, endpoint,
                whole(exchange, limit) if exchange.body_complete
                else await receive(exchange, limit))
        exchange.phase = TO_ADMITTED[exchange.phase]
        attempt = await plane.dispatcher.send(exchange, plan)
        if not plane.streamer.copy_whole(exchange, attempt):
            await plane.streamer.copy(exchange, attempt)

    def _authenticate(self, exchange: Exchange) -> None:
        """Sets the grant; a head that repeats under the same policy has the same one."""
        plane = self._plane
        head = exchange.head
        memo = head.memo
        snapshot = plane.view.current
        now_ms = exchange.started_at_ms
        if memo.snapshot is snapshot:
            check(memo.grant, now_ms)
            exchange.grant = memo.grant
            return
        try:
            grant = authenticate(head.fields, head.query, snapshot, plane.pepper, now_ms)
        except RelayError:
            if exchange.target.kind == "none":
                raise RelayError("not_found") from None
            raise
        if grant.attribution:
            grant = plane.applications.named(grant, head.fields, now_ms)
        exchange.grant = memo.grant = grant
        memo.snapshot = snapshot

    async def _admit_upload(self, exchange: Exchange, endpoint: Endpoint) -> Plan:
        """Reads what is asked for as far as it must be known; returns the deployments to try."""
        plane = self._plane
        content_type = exchange.head.fields.get(b"content-type", b"")
        upload = exchange.upload = Upload(
            endpoint, content_type, exchange.policy.body_policies[endpoint.api], plane.boundary)
        await receive_upload(exchange, exchange.policy.server.max_body_bytes)
        exchange.stream = upload.stream
        exchange.dropped = upload.dropped
        if upload.model is None:
            raise RelayError("missing_model", param="model")
        plan = plane.dispatcher.plan(exchange, upload.model)
        plane.admission.admit(exchange, None)
        plane.wallets.admit(exchange, plan, None)
        return plan

    def _admit(self, exchange: Exchange, endpoint: Endpoint, raw: bytes) -> Plan:
        """Reads what is asked for; returns the deployments to try."""
        plane = self._plane
        known = None if len(raw) < SPLIT_BYTES_MIN else self._known(exchange, endpoint)
        ask = exchange.ask = read(
            endpoint, raw, exchange.policy.body_policies[endpoint.api], exchange.target.model,
            known)
        exchange.stream = ask.stream
        exchange.dropped = ask.dropped
        dropped = exchange.policy.heads.client(exchange).dropped
        if dropped:  # items of the client's feature headers that no list knows
            exchange.dropped = (*ask.dropped, *dropped)
        try:
            plan = plane.dispatcher.plan(exchange, ask.model)
        except RelayError as error:
            short = len(raw) <= NAMES_TWICE_BYTES_MAX
            if error.code == "unknown_model" and short and names_twice(raw):
                raise RelayError("invalid_json") from None
            raise
        plane.admission.admit(exchange, raw)
        plane.wallets.admit(exchange, plan, raw)
        return plan

    def _known(self, exchange: Exchange, endpoint: Endpoint) -> Known | None:
        """What the account has sent before; asked for bodies that are long enough to matter."""
        elements = self._plane.elements
        if elements is None:
            return None
        assert exchange.grant is not None
        api = endpoint.api
        return elements.of(exchange.grant.account, api, exchange.policy.body_policies[api])

    def _tell(self, exchange: Exchange, error: RelayError) -> None:
        self._plane.replier.error(exchange, error)
        self._cancel(exchange)

    def _cancel(self, exchange: Exchange) -> None:
        attempt = exchange.attempt
        if attempt is None:
            return
        copying = exchange.copying
        if copying is not None and exchange.usage is None:
            take_usage(exchange, copying.report(False))
        attempt.close()
