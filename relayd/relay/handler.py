"""The life of a request: authenticate, receive, admit, dispatch, stream, settle.

Most calls come whole and have a reply that comes whole: they wait once, and are told by plain
functions before and after. A coroutine (ops/tasks.py) tells all others, from wherever they are
found to be none of these: it costs 5 us, and is the general way behind the lean one.

Every path leaves through `settle()`. A client may leave in any phase; nothing is sent again once a
byte of a reply has gone to the client.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Final

from relayd.core.errors import RelayError
from relayd.core.exchange import TO_ADMITTED
from relayd.core.usage import Usage
from relayd.ops.tasks import PAUSE, Story
from relayd.relay.authenticate import authenticate, check
from relayd.relay.exchange import ClientLeft, Exchange
from relayd.relay.faults import begins_well
from relayd.relay.overload import RETRY_AFTER_SECONDS
from relayd.relay.plan import Plan
from relayd.relay.receive import receive, receive_upload, whole
from relayd.relay.streamer import take_usage
from relayd.relay.upstream import Attempt
from relayd.wire.body import SPLIT_BYTES_MIN, Ask, Dense, names_twice, read
from relayd.wire.dialect import Endpoint
from relayd.wire.known import Known
from relayd.wire.multipart import Upload
from relayd.wire.walk import BodyPolicy

if TYPE_CHECKING:
    from relayd.relay.plane import Plane

NAMES_TWICE_BYTES_MAX: Final = 64 * 1024
"""A longer body of an unknown model is not read again to say what may be wrong with it."""

Refusal = tuple[str, str | None]
"""The code of an error, and the field at fault."""


class Handler:
    """Tells the story of every exchange: `start` is all that others call, but for those that wake
    an exchange or end its wait (relay/exchange.py)."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane

    def start(self, exchange: Exchange) -> None:
        """Runs one exchange from its head to its record. Never raises.

        A usual call has been sent when this returns, and goes on in `arrived`.
        """
        endpoint = exchange.target.endpoint
        if (endpoint is None or endpoint.body != "json" or not exchange.body_complete
                or exchange.target.kind != "call" or exchange.head.method != b"POST"):
            self._tell_from(exchange, self._serve(exchange))
            return
        try:
            self._enter(exchange)
            server = exchange.policy.server
            self._plane.overload.check(server, len(self._plane.inflight))
            try:
                plan = self._admit(exchange, endpoint, whole(exchange, server.max_body_bytes))
            except Dense:
                self._tell_from(exchange, self._serve_dense(exchange, endpoint))
                return
            attempt = self._plane.dispatcher.begin(exchange, plan)
            if attempt is not None:
                exchange.plan = plan
                if attempt.error is not None:  # its connection could not even be written to
                    self.go_on(exchange)
                return
        except Exception as fault:
            self._give_up(exchange, fault)
            return
        self._tell_from(exchange, self._reply(exchange, plan))

    def arrived(self, exchange: Exchange) -> None:
        """A usual call's attempt has something to say: its reply, or that there will be none."""
        attempt, plan = exchange.attempt, exchange.plan
        assert attempt is not None and plan is not None
        head = attempt.head
        early = exchange.stream and exchange.target.api == "anthropic"
        if (not attempt.complete or head is None or head.status >= 300
                or early and not begins_well(attempt)):
            if head is not None or attempt.error is not None:
                self.go_on(exchange)
            return
        exchange.plan = None
        try:
            if not self._plane.streamer.copy_whole(exchange, attempt):
                self._tell_from(exchange, self._reply(exchange, plan, attempt))
                return
            self._plane.dispatcher.served(plan)
        except Exception as fault:
            if isinstance(fault, RelayError):  # a stream that was cut short is an answer too
                self._plane.dispatcher.served(plan)
            self._give_up(exchange, fault)
        else:
            self._end(exchange)

    def go_on(self, exchange: Exchange) -> None:
        """Gives a usual call the story that it needs after all; it begins where the call waits."""
        attempt, plan = exchange.attempt, exchange.plan
        assert attempt is not None and plan is not None
        exchange.plan = None
        self._tell_from(exchange, self._reply(exchange, plan, attempt))

    def _tell_from(self, exchange: Exchange, place: Coroutine[None, None, None]) -> None:
        story = exchange.story = Story(self._tell(exchange, place))
        if exchange.attempt is not None:
            exchange.attempt.wake = story.wake
        story.wake()

    async def _tell(self, exchange: Exchange, place: Coroutine[None, None, None]) -> None:
        try:
            await place
        except Exception as fault:
            self._fail(exchange, fault)
        finally:
            self._end(exchange)

    def _end(self, exchange: Exchange) -> None:
        self._plane.settler.settle(exchange)
        exchange.connection.finish(exchange, exchange.keep_alive)

    def _give_up(self, exchange: Exchange, fault: Exception) -> None:
        try:
            self._fail(exchange, fault)
        finally:
            self._end(exchange)

    def _fail(self, exchange: Exchange, fault: Exception) -> None:
        """Notes why an exchange ends early, and tells its client."""
        if isinstance(fault, ClientLeft):
            exchange.leave()
            self._close(exchange)
            return
        error = fault if isinstance(fault, RelayError) else self._told(exchange, fault)
        error.__traceback__ = None  # its attempt may hold it, and it the frames and what passed
        exchange.fail(error)
        if error is not fault and exchange.ending == "stopped":
            exchange.ending = "fault"
        self._plane.replier.error(exchange, error)
        self._close(exchange)

    def _told(self, exchange: Exchange, fault: Exception) -> RelayError:
        """What a client hears of a defect of ours; for want of memory it may come again."""
        self._plane.logger.fault("exchange", fault, request_id=exchange.id)
        fault.__traceback__ = None
        if isinstance(fault, MemoryError):
            return RelayError("overloaded", retry_after_seconds=RETRY_AFTER_SECONDS, close=True)
        return RelayError("internal", close=True)

    def _close(self, exchange: Exchange) -> None:
        """Ends the attempt of an exchange that ends early, once what it has reported is noted."""
        attempt = exchange.attempt
        if attempt is None:
            return
        copying = exchange.copying
        if copying is not None and exchange.usage is None:
            take_usage(exchange, copying.report(False))
        attempt.close()

    def _enter(self, exchange: Exchange) -> None:
        """What comes before a body: whose call it is."""
        plane = self._plane
        plane.meter.check()  # what cannot be written down is not begun
        if exchange.target.kind == "socket":
            exchange.keep_alive = False  # what comes behind an upgrade may be frames
        memo = exchange.head.memo
        if memo.snapshot is plane.view.current:  # under the same policy it is the same key
            check(memo.grant, exchange.started_at_ms)
            exchange.grant = memo.grant
        else:
            self._authenticate(exchange)
        if memo.noted_until <= exchange.started:
            if exchange.policy.server.tls_terminated:
                plane.clear_keys.check(exchange, plane.network)
            plane.network.note(exchange, exchange.started, exchange.started_at_ms)

    def _authenticate(self, exchange: Exchange) -> None:
        """Sets the grant, and notes it for heads that repeat."""
        plane = self._plane
        head = exchange.head
        memo = head.memo
        snapshot = plane.view.current
        now_ms = exchange.started_at_ms
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

    async def _serve(self, exchange: Exchange) -> None:
        plane = self._plane
        if plane.local.before_key(exchange):
            return
        self._enter(exchange)
        if exchange.target.kind == "socket":
            await plane.realtime.serve(exchange)
            return
        endpoint = exchange.target.endpoint
        if endpoint is None or exchange.head.method != b"POST":
            await plane.local.answer(exchange)
            return
        plane.overload.check(exchange.policy.server, len(plane.inflight))
        limit = exchange.policy.server.max_body_bytes
        if endpoint.body == "multipart":
            plan = await self._admit_upload(exchange, endpoint)
        else:
            if not exchange.body_complete:
                await receive(exchange, limit)
            # no name for the body here: this frame lives as long as its reply
            try:
                plan = self._admit(exchange, endpoint, whole(exchange, limit))
            except Dense:
                plan = await self._admit_dense(exchange, endpoint)
        await self._reply(exchange, plan)
        if endpoint.body == "multipart" and type(exchange.usage) is Usage:
            # files are in the report and not in the counts, which are not held against it
            exchange.prompt = exchange.counter = None

    async def _serve_dense(self, exchange: Exchange, endpoint: Endpoint) -> None:
        plan = await self._admit_dense(exchange, endpoint)
        await self._reply(exchange, plan)

    async def _reply(
        self, exchange: Exchange, plan: Plan, begun: Attempt | None = None
    ) -> None:
        """From what is asked for to the reply's last byte; `begun` is under way already."""
        plane = self._plane
        attempt = await plane.dispatcher.send(exchange, plan, begun)
        if not plane.streamer.copy_whole(exchange, attempt):
            await plane.streamer.copy(exchange, attempt)

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
        exchange.phase = TO_ADMITTED[exchange.phase]
        return plan

    def _admit(self, exchange: Exchange, endpoint: Endpoint, raw: bytes) -> Plan:
        """Reads what is asked for; returns the deployments to try.

        Raises Dense where that is left to `_admit_dense`, and the exchange has the body again.
        """
        known = None if len(raw) < SPLIT_BYTES_MIN else self._known(exchange, endpoint)
        try:
            ask = read(endpoint, raw, exchange.policy.body_policies[endpoint.api],
                       exchange.target.model, known, True)
        except Dense:
            exchange.pieces = [raw]
            raise
        return self._admitted(exchange, ask, raw)

    def _known(self, exchange: Exchange, endpoint: Endpoint) -> Known | None:
        """What the account has sent before; asked for bodies that are long enough to matter."""
        elements = self._plane.elements
        if elements is None:
            return None
        assert exchange.grant is not None
        api = endpoint.api
        return elements.of(exchange.grant.account, api, exchange.policy.body_policies[api])

    async def _admit_dense(self, exchange: Exchange, endpoint: Endpoint) -> Plan:
        """As `_admit`, of a body that takes long to read: a thread does, streams go on."""
        raw = exchange.pieces.pop()
        found: list[Ask | Refusal | None] = []

        def take(ask: Ask | Refusal | None) -> None:
            found.append(ask)
            exchange.wake()

        self._plane.counting.aside(
            len(raw), take, _read_dense, endpoint, raw,
            exchange.policy.body_policies[endpoint.api], exchange.target.model)
        exchange.deadline = 0.0  # the body has come
        while not found:
            await PAUSE
        ask = found.pop()
        if isinstance(ask, Ask):
            return self._admitted(exchange, ask, raw)
        code, param = ask or ("overloaded", None)
        raise RelayError(code, param=param)

    def _admitted(self, exchange: Exchange, ask: Ask, raw: bytes) -> Plan:
        """What follows from what is asked for."""
        plane = self._plane
        exchange.ask = ask
        exchange.stream = ask.stream
        exchange.dropped = ask.dropped
        memo, heads = exchange.head.memo, exchange.policy.heads
        client = memo.client if memo.heads is heads else heads.client(exchange)
        if client.dropped:  # items of the client's feature headers that no list knows
            exchange.dropped = (*ask.dropped, *client.dropped)
        try:
            plan = plane.dispatcher.plan(exchange, ask.model)
        except RelayError as error:
            short = len(raw) <= NAMES_TWICE_BYTES_MAX
            if error.code == "unknown_model" and short and names_twice(raw):
                raise RelayError("invalid_json") from None
            raise
        policy, grant = exchange.policy, exchange.grant
        if policy.limits is not None or grant is not None and grant.limits is not None:
            plane.admission.admit(exchange, raw)
        if policy.billing.prepaid:
            plane.wallets.admit(exchange, plan, raw)
        exchange.phase = TO_ADMITTED[exchange.phase]
        return plan


def _read_dense(
    endpoint: Endpoint, raw: bytes, policy: BodyPolicy, model: str | None
) -> Ask | Refusal:
    """For the thread; an error of its own would hold the body, in a circle, for a while."""
    try:
        return read(endpoint, raw, policy, model)
    except RelayError as error:
        return error.code, error.param
