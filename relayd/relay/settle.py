"""Settling: the one door by which every exchange leaves. Synchronous: nothing can cancel it.

What a call holds is given back at once. Its record is written at once too, or, where the loop is
busy, with those of all calls that end in the same turn, before anything of that turn is sent.

An exchange whose key was accepted becomes exactly one call record; one that was refused before
that is counted by its error alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relayd.core.exchange import TO_SETTLED
from relayd.core.record import CallRecord
from relayd.core.usage import ENDINGS, Seen, Usage, UsageSource, usage_of
from relayd.relay.exchange import Exchange

if TYPE_CHECKING:
    from relayd.relay.count import TextCounter
    from relayd.relay.counting import PromptCount
    from relayd.relay.plane import Plane
    from relayd.relay.upstream import Attempt

BROKEN: Final = frozenset({"upstream_truncated", "upstream_stalled"})
"""Ends of a reply that had begun, which count against its deployment. (Before a reply has begun,
relay/faults.py counts.)"""


class Settler:
    """Turns exchanges into call records."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._ended: list[tuple[Exchange, float]] = []

    def settle(self, exchange: Exchange) -> None:
        """Settles; called once per exchange, from the handler's `finally`."""
        plane = self._plane
        exchange.phase = TO_SETTLED[exchange.phase]
        now = plane.now()
        if exchange.ticket is not None:
            exchange.ticket.release()
        if exchange.permit is not None:
            exchange.permit.release()
        if exchange.ending == "provider_truncated" and exchange.error in BROKEN \
                and exchange.place is not None:
            exchange.place.health.circuit.failed(now, hard=False)
        if exchange.left_with is not None:
            plane.abandoned.end(exchange)
        if exchange.held_bytes or exchange.ask is not None or exchange.upload is not None:
            exchange.drop_body()
        attempt = exchange.attempt
        if attempt is not None:
            if exchange.first_byte is not None:
                self._measure(exchange, attempt, exchange.first_byte, now)
            attempt.close()
            exchange.attempt = None
        exchange.copying = None
        if exchange.grant is not None:
            self._settle_when_counted(exchange, now)
        elif exchange.error is not None:
            plane.metrics.refused_before_key(exchange.target.api, exchange.error)

    def _measure(
        self, exchange: Exchange, attempt: Attempt, first: float, now: float
    ) -> None:
        """How long the provider took for its first byte, and between two reads of a stream."""
        gap = None
        if exchange.stream and attempt.chunks > 1:
            gap = (now - first) / (attempt.chunks - 1)
        self._plane.metrics.answered(exchange.provider or "", first - attempt.began, gap)

    def _settle_when_counted(self, exchange: Exchange, ended: float) -> None:
        """Records the exchange, now or when its counts have come from their thread."""
        prompt, counter = exchange.prompt, exchange.counter
        if prompt is not None and prompt.pending:
            self._wait_for(prompt, exchange, ended)
        elif counter is not None and counter.pending:
            self._wait_for(counter, exchange, ended)
        elif self._ended or self._plane.turn.first(self._record_ended):
            self._plane.unsettled += 1
            self._ended.append((exchange, ended))
        else:
            self._record(exchange, ended)

    def _record_ended(self) -> None:
        """Records what ended in this turn of the loop: together that costs half."""
        plane = self._plane
        ended, self._ended = self._ended, []
        plane.unsettled -= len(ended)
        records: list[CallRecord] = []
        for exchange, at in ended:
            try:
                records.append(self._made(exchange, at))
            except Exception as fault:  # a defect of ours costs no other call anything
                plane.logger.fault("settle", fault, request_id=exchange.id)
        if len(records) == 1:
            plane.meter.append(records[0])
        else:
            plane.meter.append_all(records)
        plane.metrics.settled_all(records)

    def _wait_for(
        self, count: PromptCount | TextCounter, exchange: Exchange, ended: float
    ) -> None:
        self._plane.unsettled += 1
        count.when_done = lambda: self._settle_late(exchange, ended)

    def _settle_late(self, exchange: Exchange, ended: float) -> None:
        """A count came after the reply's end; there may be another one."""
        self._plane.unsettled -= 1
        for count in (exchange.prompt, exchange.counter):
            if count is not None:  # it leads back to the exchange, whose texts would stay
                count.when_done = None
        self._settle_when_counted(exchange, ended)

    def _record(self, exchange: Exchange, ended: float) -> None:
        record = self._made(exchange, ended)
        self._plane.meter.append(record)
        self._plane.metrics.settled(record)

    def _made(self, exchange: Exchange, ended: float) -> CallRecord:
        """The record, of which all know but those who keep it."""
        plane = self._plane
        record = self._build(exchange, ended)
        if exchange.ticket is not None:
            record = exchange.ticket.correct(record)
        if exchange.hold is not None:
            record = plane.wallets.settle(exchange, record)
        endpoint, model = exchange.target.endpoint, exchange.provider_model
        if endpoint is not None and model and record.outcome == "completed":
            plane.counting.reported(
                exchange.provider or "", model, endpoint, type(exchange.usage) is Usage)
        return record

    def _build(self, exchange: Exchange, ended: float) -> CallRecord:
        grant = exchange.grant
        assert grant is not None
        target, started, first = exchange.target, exchange.started, exchange.first_byte
        endpoint, prompt, counter = target.endpoint, exchange.prompt, exchange.counter
        counted_in = prompt.tokens if prompt is not None else None
        counted_out = counter.total() if counter is not None else None
        ending, usage = exchange.ending, exchange.usage
        source: UsageSource = "reported"
        if not (type(usage) is Usage and ending == "completed"):  # else the table says the same
            usage, source = usage_of(ending, Seen(
                usage, exchange.usage_covers, counted_in, counted_out, is_exact(exchange)))
        # in the order of the fields: names would double the cost of the longest call of the path
        return CallRecord(
            exchange.id, exchange.started_at_ms, grant.account, grant.key, grant.app,
            target.api, endpoint_name(exchange) if endpoint is None else endpoint.path,
            exchange.model, exchange.provider, exchange.provider_model, exchange.stream,
            exchange.status, ENDINGS[ending].outcome, exchange.error, exchange.attempts,
            usage.input_tokens, usage.output_tokens, usage.cache_read_input_tokens,
            usage.cache_creation_input_tokens, usage.reasoning_output_tokens,
            usage.audio_input_tokens, usage.audio_output_tokens, counted_in, counted_out,
            source, 0, "USD",
            None if first is None else round((first - started) * 1e6) / 1000,
            round((ended - started) * 1e6) / 1000,
            usage.cache_creation_1h_input_tokens, usage.image_input_tokens,
            usage.image_output_tokens, usage.images, usage.audio_seconds, usage.searches,
        )


def is_exact(exchange: Exchange) -> bool:
    """Whether the relay's own counts are those of the model's own encoding, of whole texts."""
    prompt, counter = exchange.prompt, exchange.counter
    return (exchange.encoding_exact and prompt is not None and not prompt.approximate
            and counter is not None and not counter.approximate)


def endpoint_name(exchange: Exchange) -> str:
    """The path template of an exchange, from the closed set of served paths."""
    target = exchange.target
    if target.endpoint is not None:
        return target.endpoint.path
    if target.kind == "models":
        return "/v1beta/models" if exchange.head.path.startswith("/v1beta/") else "/v1/models"
    return "other"
