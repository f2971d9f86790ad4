"""What is under way: exchanges admitted and not settled, and the one sweep that ends what waits.

No exchange has a timer of its own: a timer per call costs more than reading its body. The sweep
runs `SWEEPS_PER_SECOND` times a second and compares deadlines and chunk counters.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Final, TypeVar

from relayd.core.errors import RelayError
from relayd.core.exchange import Phase
from relayd.ops.beat import Beat
from relayd.ops.process import resident_bytes
from relayd.relay.exchange import Exchange
from relayd.relay.opening import mark
from relayd.relay.upstream import Attempt

if TYPE_CHECKING:
    from relayd.relay.plane import Plane

SWEEPS_PER_SECOND: Final = 4
SILENT_SECONDS: Final = 0.5
"""After so long without a byte of a provider it is asked, once a second, whether it is there."""
ASKED_SECONDS: Final = 1.0
"""After so long a client that sends no more is asked whether it is there: a closed socket answers
what is written to it with a reset, a half-closed one lets an interim response pass."""
LATE_SECONDS: Final = 0.2
"""A sweep that begins so late says that the process stood still: libuv's timers come before what
is to be read then."""
MARK_AFTER_SECONDS: Final = 0.5
MARK_SECONDS: Final = 2.0
"""How old a call is when the journal is first told how far it has come, and how often it is told
afterwards. A killed daemon's calls are recorded as of then."""
MARKS_PER_SWEEP: Final = 50
"""Each counts up to a KiB of text: 3 ms in all. With more calls each is marked less often."""
STEP: Final = 256
"""Exchanges or connections that are looked at before the loop has its turn: half a millisecond.
All of 5,000 streams at once took 10."""
Thing = TypeVar("Thing")


class Sweep:
    """Ends what has waited too long, keeps streams alive, closes idle connections."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._marks_left = 0
        self._passes = 0
        self._listens = False

    async def run(self) -> None:
        """Runs until cancelled."""
        plane, beat = self._plane, Beat(1 / SWEEPS_PER_SECOND)
        while await beat.wait():
            now, server = plane.now(), plane.policy.server
            plane.overload.sample(server, max(0.0, now - beat.due),
                                  resident_bytes() if server.memory_bytes_max else 0)
            plane.busy.look(server.busy_poll, len(plane.inflight) or len(plane.meter))
            if now - beat.due > LATE_SECONDS:
                await asyncio.sleep(0)  # what came meanwhile is read before anybody is judged
            for _ in self.steps(now):
                await asyncio.sleep(0)

    def once(self, now: float) -> None:
        """One pass over everything that may have waited too long."""
        for _ in self.steps(now):
            pass

    def steps(self, now: float) -> Iterator[None]:
        """The same, a step at a time: between two steps the loop may have its turn."""
        self._marks_left = MARKS_PER_SWEEP
        self._passes += 1
        self._listens = not self._passes % SWEEPS_PER_SECOND
        for exchanges in _parts(self._plane.inflight):
            for exchange in exchanges:
                self._visit(exchange, now)
            yield
        self._plane.abandoned.sweep(now)
        for connections in _parts(self._plane.connections):
            for connection in connections:
                if (connection.exchange is None and connection.deadline <= now
                        and not connection.lost):
                    connection.expire()
            yield
        for pool in self._plane.pools():
            pool.sweep(now)

    def _visit(self, exchange: Exchange, now: float) -> None:
        """What a pass does with one call: ends it, or notes and marks it where that is due."""
        if exchange.phase is Phase.SETTLED:  # since the pass began
            return
        self._end_if_due(exchange, now)
        if exchange.grant is not None and exchange.head.memo.noted_until <= now:
            self._plane.network.note(exchange, now, self._plane.unix_ms())
        if exchange.opened and now - exchange.started > MARK_AFTER_SECONDS:
            self._mark(exchange, now)

    def _mark(self, exchange: Exchange, now: float) -> None:
        """Tells the journal how far a call has come, where it has moved since."""
        due, told = exchange.marked or (0.0, None)
        if now < due or not self._marks_left:
            return
        prompt = exchange.prompt
        state = (exchange.seen_chunks, exchange.status, exchange.attempts,
                 None if prompt is None else prompt.tokens)
        if state == told:
            return
        plane = self._plane
        self._marks_left -= 1
        every = max(MARK_SECONDS, len(plane.inflight) / (MARKS_PER_SWEEP * SWEEPS_PER_SECOND))
        exchange.marked = now + every, state
        plane.meter.mark(mark(exchange))

    def _end_if_due(self, exchange: Exchange, now: float) -> None:
        """Ends a call that has waited too long, or whose client or provider is gone."""
        connection = exchange.connection
        if (connection.half_closed or not exchange.body_complete) and connection.broken():
            connection.transport.abort()
            return
        attempt = exchange.attempt
        if attempt is not None and self._ended(exchange, attempt, now):
            return
        if exchange.last_deadline and exchange.last_deadline <= now:
            exchange.last_deadline = 0.0
            exchange.interrupt(RelayError("upstream_timeout", close=True))
        elif exchange.deadline and exchange.deadline <= now:
            exchange.deadline = 0.0
            exchange.interrupt(RelayError(exchange.expire_code, close=True))

    def _ended(self, exchange: Exchange, attempt: Attempt, now: float) -> bool:
        """Whether that is the end of a reply, or of the wait for one; else its time goes on."""
        copying = exchange.copying
        if copying is None:
            return self._listens and self._are_gone(exchange, attempt, now - attempt.began)
        if copying.done:  # it waits for the disk alone (`sync_ms = 0`)
            return False
        if attempt.octets > exchange.policy.server.reply_bytes_max:
            exchange.interrupt(RelayError("upstream_endless", close=True))
            return True
        if attempt.chunks != exchange.seen_chunks:
            exchange.seen_chunks = attempt.chunks
            exchange.last_heard = now
            exchange.deadline = now + exchange.idle_seconds
        elif attempt.paused:
            # the client keeps the provider waiting, but not for ever
            exchange.deadline = now + exchange.idle_seconds
            if now - exchange.last_heard > exchange.policy.server.idle_seconds:
                exchange.connection.transport.abort()
        elif (self._listens and now - exchange.last_heard > SILENT_SECONDS
                and attempt.vanished()):
            return True
        else:
            copying.keep_alive(now, exchange.last_heard)
        return False

    def _are_gone(self, exchange: Exchange, attempt: Attempt, silent: float) -> bool:
        """Before a reply: whether its provider is gone. Its client is asked, where that may be."""
        if silent > ASKED_SECONDS and not exchange.replied:
            exchange.connection.invite_body()
        return silent > SILENT_SECONDS and attempt.vanished()


def _parts(things: Collection[Thing]) -> Iterator[list[Thing]]:
    """All that are there now, in steps."""
    whole = list(things)
    for at in range(0, len(whole), STEP):
        yield whole[at:at + STEP]
