"""Hedging: where a first byte is slow to come, a second deployment is asked too.

Law: the first good answer wins, the other attempt is closed at once, whatever it costs there. Both
count as attempts; the call is settled once, by the winner.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from relayd.core.errors import RelayError
from relayd.core.retry import RULES, kind_of
from relayd.ops.tasks import PAUSE
from relayd.relay.alarm import Alarm
from relayd.relay.exchange import Exchange
from relayd.relay.faults import Fault
from relayd.relay.plan import Place, Step
from relayd.relay.pool import Opening
from relayd.relay.upstream import Attempt, UpstreamConnection

if TYPE_CHECKING:
    from relayd.relay.plane import Plane


class _Side:
    """One of the two: its place, the connection that it waits for, its attempt, which has until
    `due` for its answer's head."""

    __slots__ = ("place", "model", "opening", "attempt", "error", "due", "alarm")

    def __init__(self, step: Step) -> None:
        self.place, self.model = step
        self.opening: Opening | None = None
        self.attempt: Attempt | None = None
        self.error: RelayError | None = None
        self.due = math.inf
        self.alarm: Alarm | None = None

    @property
    def ended(self) -> RelayError | None:
        """What ended it without an answer; None where nothing has."""
        if self.error is not None or self.attempt is None:
            return self.error
        return self.attempt.error

    @property
    def failed(self) -> bool:
        """True where nothing, or no good answer, will come of it: an error, a redirect."""
        head = None if self.attempt is None else self.attempt.head
        return self.ended is not None or (
            head is not None and head.status >= 300 and head.status != 304)

    @property
    def done(self) -> bool:
        """True where there is an answer that is good enough to end the other side."""
        return self.attempt is not None and self.attempt.head is not None and not self.failed

    @property
    def fault(self) -> Fault:
        """What became of it once it has failed, as far as its status tells."""
        if self.ended is not None:
            return Fault(kind_of(self.ended.code), self.ended)
        assert self.attempt is not None and self.attempt.head is not None
        return Fault(kind_of("", self.attempt.head.status), None)


class Hedge:
    """One call's two sides; `run` once. `spare` gives the second one's place; None: there is none.
    """

    def __init__(self, plane: Plane, exchange: Exchange, first: Step,
                 spare: Callable[[], Step | None]) -> None:
        self._plane = plane
        self._exchange = exchange
        self._sides = [_Side(first)]
        self._spare = spare

    async def run(self, seconds: float) -> tuple[Place, Attempt]:
        """The place that answered first, and its attempt; raises the first one's error.

        The second one is asked `seconds` after the first.
        """
        plane, sides = self._plane, self._sides
        due = plane.now() + seconds
        timer = plane.call_later(seconds, self._exchange.wake)
        winner: _Side | None = None
        try:
            self._start(sides[0])
            while (winner := self._winner()) is None:
                if len(sides) == 1 and plane.now() >= due and (found := self._spare()) is not None:
                    sides.append(_Side(found))
                    self._start(sides[1])
                    continue
                await PAUSE
                for side in sides:
                    self._go_on(side)
        except RelayError as error:  # the whole call's time has passed
            self._count_cut(error)
            raise
        finally:
            timer.cancel()
            self._close(winner)
        return self._result(winner)

    def _start(self, side: _Side) -> None:
        """Takes a connection for a side, or begins to open one."""
        exchange = self._exchange
        self._plane.sender.announce(exchange, side.place, side.model)
        exchange.last_deadline = self._last_deadline(self._sides)
        exchange.deadline = 0.0  # each side has a time of its own, and a pool its connect timeout
        connection = side.place.pool.take()
        if connection is None:
            self._open(side)
        else:
            self._put(side, connection)

    def _open(self, side: _Side) -> None:
        try:
            side.opening = side.place.pool.open(self._exchange.wake)
        except RelayError as error:
            side.error = error

    def _last_deadline(self, sides: list[_Side]) -> float:
        """When the call ends at the latest: while two are asked, the later one's time holds."""
        totals = [side.place.provider.timeouts.total for side in sides]
        return self._exchange.started + max(totals) if all(totals) else 0.0

    def _put(self, side: _Side, connection: UpstreamConnection) -> None:
        """Sends the request, which starts the time that this provider has."""
        plane, exchange = self._plane, self._exchange
        side.attempt = plane.sender.put(exchange, side.place, side.model, connection)
        seconds = side.place.provider.timeouts.first_byte
        side.due, exchange.deadline = side.attempt.began + seconds, 0.0
        if side.alarm is not None:
            side.alarm.cancel()
        side.alarm = plane.call_later(side.due - plane.now(), exchange.wake)

    def _go_on(self, side: _Side) -> None:
        """Sends where the connection has come; a kept one that was stale is replaced once."""
        opening, attempt = side.opening, side.attempt
        sender, now = self._plane.sender, self._plane.now()
        if opening is not None and (opening.connection is not None or opening.error is not None):
            side.opening = None
            if opening.connection is not None:
                self._put(side, opening.connection)
            else:
                assert opening.error is not None
                side.error = opening.error
                sender.count_unopened(self._exchange, side.place.pool, opening.error)
        elif attempt is not None and attempt.stale(now):
            sender.count(attempt, side.place.provider)
            sender.again(self._exchange)
            side.attempt = None
            self._open(side)
        elif attempt is not None and attempt.pending and now >= side.due:
            attempt.close()
            attempt.fail(RelayError("upstream_timeout"))

    def _winner(self) -> _Side | None:
        """The first side that is done. Where all have failed: one that says that the request is
        at fault, which would be sent on otherwise, or else the first one."""
        sides = self._sides
        for side in sides:
            if side.done:
                return side
        if not all(side.failed for side in sides):
            return None
        return next((side for side in sides if not RULES[side.fault.kind].onward), sides[0])

    def _close(self, winner: _Side | None) -> None:
        """Ends what did not win; the exchange's attempt is the winner's, and so are its times."""
        for side in self._sides:
            if side.alarm is not None:
                side.alarm.cancel()
            if side is winner:
                continue
            if side.opening is not None:
                side.opening.abandon()
            if side.attempt is not None:
                side.attempt.close()
        if winner is not None:
            exchange = self._exchange
            exchange.attempt = winner.attempt
            exchange.place = winner.place
            exchange.provider = winner.place.provider.name
            exchange.provider_model = winner.model
            exchange.last_deadline = self._last_deadline([winner])
            exchange.deadline = winner.due if winner.attempt is not None else 0.0

    def _count_cut(self, error: RelayError) -> None:
        """Counts what the call's own end has ended, and what had failed before that."""
        sender = self._plane.sender
        for side in self._sides:
            if side.attempt is None:
                continue
            if side.attempt.pending:
                sender.count_ended(side.place.provider, error)
            else:
                sender.count(side.attempt, side.place.provider)

    def _result(self, winner: _Side) -> tuple[Place, Attempt]:
        """Counts both; what failed and did not win says something of its deployment."""
        for side in self._sides:
            if side.attempt is not None and not side.attempt.pending:
                self._plane.sender.count(side.attempt, side.place.provider)
            if side is not winner and side.failed:
                self._plane.faults.note(side.place, side.attempt, side.fault)
        if winner.ended is not None:
            raise winner.ended
        assert winner.attempt is not None
        return winner.place, winner.attempt
