"""The phases of an exchange, as a table: one request and its reply, from head to settled."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class Phase(IntEnum):
    """Where an exchange stands."""

    RECEIVED = 0
    ADMITTED = 1
    DISPATCHED = 2
    STREAMING = 3
    SETTLED = 4


MOVES: Final = {
    Phase.RECEIVED: frozenset({Phase.ADMITTED, Phase.SETTLED}),
    Phase.ADMITTED: frozenset({Phase.DISPATCHED, Phase.SETTLED}),
    Phase.DISPATCHED: frozenset({Phase.DISPATCHED, Phase.STREAMING, Phase.SETTLED}),
    Phase.STREAMING: frozenset({Phase.SETTLED}),
    Phase.SETTLED: frozenset(),
}
"""DISPATCHED follows itself: a further attempt. Nothing is retried once STREAMING."""


def advance(now: Phase, to: Phase) -> Phase:
    """The next phase; a move that the table does not hold is a programmer's error."""
    assert to in MOVES[now], f"{now.name} -> {to.name}"
    return to
