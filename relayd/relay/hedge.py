"""Hedging: where a first byte is slow to come, a second deployment is asked too.

Law: the first good answer wins, the other attempt is closed at once, whatever it costs there. Both
count as attempts; the call is settled once, by the winner.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from relayd.core.errors import RelayError
from relayd.core.retry import kind_of
from relayd.ops.tasks import PAUSE
from relayd.relay.exchange import Exchange
from relayd.relay.faults import Fault
from relayd.relay.plan import Place
from relayd.relay.pool import Opening
from relayd.relay.upstream import Attempt

if TYPE_CHECKING:
    from relayd.relay.plane import Plane

Step = tuple[Place, str]


class _Side:
    """One of the two: its place, the connection that it waits for, its attempt."""

    __slots__ = ("place", "model", "opening", "attempt", "error")

    def __init__(self, step: Step) -> None:
        self.place, self.model = step
        self.opening: Opening | None = None
        self.attempt: Attempt | None = None
        self.error: RelayError | None = None

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
    first = _Side(step)
    second: _Side | None = None
    due = plane.now() + seconds
    timer = plane.call_later(seconds, exchange.wake)
    winner: _Side | None = None
    try:
        exchange.deadline = 0.0  # a pool's own connect timeout applies
        _start(plane, exchange, first)
        while (winner := _winner(first, second)) is None:
            if second is None and plane.now() >= due and (found := spare()) is not None:
                second = _Side(found)
                _start(plane, exchange, second)
                continue
            await PAUSE
            _go_on(plane, exchange, first)
            if second is not None:
                _go_on(plane, exchange, second)
    finally:
        timer.cancel()
        _close(exchange, winner, first, second)
    return _result(plane, exchange, winner, first, second)


def _start(plane: Plane, exchange: Exchange, side: _Side) -> None:
    """Takes a connection, or begins to open one."""
    plane.sender.announce(exchange, side.place, side.model)
    connection = side.place.pool.take()
    if connection is not None:
        side.attempt = plane.sender.put(exchange, side.place, side.model, connection)
        return
    try:
        side.opening = side.place.pool.open(exchange.wake)
    except RelayError as error:
        side.error = error


def _go_on(plane: Plane, exchange: Exchange, side: _Side) -> None:
    """Sends where the connection has come; a kept one that was stale is replaced once."""
    opening = side.opening
    if opening is not None and (opening.connection is not None or opening.error is not None):
        side.opening = None
        if opening.connection is not None:
            side.attempt = plane.sender.put(exchange, side.place, side.model, opening.connection)
        else:
            assert opening.error is not None
            side.error = opening.error
            plane.sender.count_unopened(exchange, side.place.pool, opening.error)
    elif side.attempt is not None and side.attempt.stale:
        plane.sender.count(side.attempt, side.place.provider)
        side.attempt = None
        try:
            side.opening = side.place.pool.open(exchange.wake)
        except RelayError as error:
            side.error = error


def _winner(first: _Side, second: _Side | None) -> _Side | None:
    """The first side that is done; the first one where both have failed."""
    for side in (first, second):
        if side is not None and side.done:
            return side
    if first.failed and (second is None or second.failed):
        return first
    return None


def _close(
    exchange: Exchange, winner: _Side | None, first: _Side, second: _Side | None
) -> None:
    """Ends what did not win; the exchange's attempt is the winner's."""
    for side in (first, second):
        if side is None or side is winner:
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


def _result(
    plane: Plane, exchange: Exchange, winner: _Side | None, first: _Side, second: _Side | None
) -> tuple[Place, Attempt]:
    """Counts both; what failed and did not win says something of its deployment."""
    assert winner is not None
    for side in (first, second):
        if side is None:
            continue
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
