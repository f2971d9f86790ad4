"""Hedging: where a first byte is slow to come, a second deployment is asked too.

Law: the first good answer wins, the other attempt is closed at once, whatever it costs there. Both
count as attempts; the call is settled once, by the winner.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from relayd.core.errors import RelayError
from relayd.core.retry import kind_of
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
    def failed(self) -> bool:
        """True where nothing, or no good answer, will come of it."""
        attempt = self.attempt
        if self.error is not None or attempt is None:
            return self.error is not None
        return attempt.error is not None or attempt.head is not None and attempt.head.status >= 400

    @property
    def done(self) -> bool:
        """True where there is an answer that is good enough to end the other side."""
        return self.attempt is not None and self.attempt.head is not None and not self.failed


async def first_of_two(
    plane: Plane, exchange: Exchange, step: Step, spare: Callable[[], Step | None], seconds: float,
) -> tuple[Place, Attempt]:
    """The place that answered first, and its attempt; raises the first one's error.

    `spare` gives the second place, `seconds` after the first was asked; None: there is none.
    """
    sides = [_Side(step)]
    due = plane.now() + seconds
    timer = plane.call_later(seconds, exchange.wake)
    winner: _Side | None = None
    try:
        _start(plane, exchange, sides)
        while (winner := _winner(sides)) is None:
            if len(sides) == 1 and plane.now() >= due and (found := spare()) is not None:
                sides.append(_Side(found))
                _start(plane, exchange, sides)
                continue
            await PAUSE
            for side in sides:
                _go_on(plane, exchange, side)
    except RelayError as error:  # the whole call's time has passed
        for side in sides:
            if side.attempt is not None and side.attempt.pending:
                plane.sender.count_ended(side.place.provider, error)
        raise
    finally:
        timer.cancel()
        _close(exchange, winner, sides)
    return _result(plane, exchange, winner, sides)


def _start(plane: Plane, exchange: Exchange, sides: list[_Side]) -> None:
    """Takes a connection for the last of them, or begins to open one."""
    side = sides[-1]
    plane.sender.announce(exchange, side.place, side.model)
    exchange.last_deadline = _last_deadline(exchange, sides)
    exchange.deadline = 0.0  # each side has a time of its own, and a pool its connect timeout
    connection = side.place.pool.take()
    if connection is not None:
        _put(plane, exchange, side, connection)
        return
    try:
        side.opening = side.place.pool.open(exchange.wake)
    except RelayError as error:
        side.error = error


def _last_deadline(exchange: Exchange, sides: list[_Side]) -> float:
    """When the call ends at the latest: while two are asked, the later one's time holds."""
    totals = [side.place.provider.timeouts.total for side in sides]
    return exchange.started + max(totals) if all(totals) else 0.0


def _put(
    plane: Plane, exchange: Exchange, side: _Side, connection: UpstreamConnection
) -> None:
    """Sends the request, which starts the time that this provider has."""
    side.attempt = plane.sender.put(exchange, side.place, side.model, connection)
    seconds = side.place.provider.timeouts.first_byte
    side.due, exchange.deadline = side.attempt.began + seconds, 0.0
    if side.alarm is not None:
        side.alarm.cancel()
    side.alarm = plane.call_later(side.due - plane.now(), exchange.wake)


def _go_on(plane: Plane, exchange: Exchange, side: _Side) -> None:
    """Sends where the connection has come; a kept one that was stale is replaced once."""
    opening = side.opening
    if opening is not None and (opening.connection is not None or opening.error is not None):
        side.opening = None
        if opening.connection is not None:
            _put(plane, exchange, side, opening.connection)
        else:
            assert opening.error is not None
            side.error = opening.error
            plane.sender.count_unopened(exchange, side.place.pool, opening.error)
    elif side.attempt is not None and side.attempt.stale(plane.now()):
        plane.sender.count(side.attempt, side.place.provider)
        plane.sender.again(exchange)
        side.attempt = None
        try:
            side.opening = side.place.pool.open(exchange.wake)
        except RelayError as error:
            side.error = error
    elif side.attempt is not None and side.attempt.pending and plane.now() >= side.due:
        side.attempt.close()
        side.attempt.fail(RelayError("upstream_timeout"))


def _winner(sides: list[_Side]) -> _Side | None:
    """The first side that is done; the first one where all have failed."""
    for side in sides:
        if side.done:
            return side
    return sides[0] if all(side.failed for side in sides) else None


def _close(exchange: Exchange, winner: _Side | None, sides: list[_Side]) -> None:
    """Ends what did not win; the exchange's attempt is the winner's, and so are its times."""
    for side in sides:
        if side.alarm is not None:
            side.alarm.cancel()
        if side is winner:
            continue
        if side.opening is not None:
            side.opening.abandon()
        if side.attempt is not None:
            side.attempt.close()
    if winner is not None:
        exchange.attempt = winner.attempt
        exchange.place = winner.place
        exchange.provider = winner.place.provider.name
        exchange.provider_model = winner.model
        exchange.last_deadline = _last_deadline(exchange, [winner])
        exchange.deadline = winner.due if winner.attempt is not None else 0.0


def _result(
    plane: Plane, exchange: Exchange, winner: _Side | None, sides: list[_Side]
) -> tuple[Place, Attempt]:
    """Counts both; what failed and did not win says something of its deployment."""
    assert winner is not None
    for side in sides:
        if side.attempt is not None and not side.attempt.pending:
            plane.sender.count(side.attempt, side.place.provider)
        if side is not winner and side.failed:
            plane.faults.note(side.place, side.attempt, _fault(side))
    error = winner.error or (winner.attempt.error if winner.attempt is not None else None)
    if error is not None:
        raise error
    assert winner.attempt is not None
    return winner.place, winner.attempt


def _fault(side: _Side) -> Fault:
    """What became of a side that failed, as far as its status tells."""
    error = side.error or (side.attempt.error if side.attempt is not None else None)
    if error is not None:
        return Fault(kind_of(error.code), error)
    assert side.attempt is not None and side.attempt.head is not None
    return Fault(kind_of("", side.attempt.head.status), None)
