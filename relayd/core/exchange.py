"""The phases of an exchange, as a table: one request and its reply, from head to settled."""

from __future__ import annotations

from collections.abc import Mapping
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


def _into(to: Phase) -> Mapping[Phase, Phase]:
    return {now: to for now, after in MOVES.items() if to in after}


RECEIVED: Final = Phase.RECEIVED
TO_ADMITTED: Final = _into(Phase.ADMITTED)
TO_DISPATCHED: Final = _into(Phase.DISPATCHED)
TO_STREAMING: Final = _into(Phase.STREAMING)
TO_SETTLED: Final = _into(Phase.SETTLED)
"""The same table by where a move leads: `phase = TO_SETTLED[phase]` without looking up a member in
its class, which takes longer than the move. A move that the table does not hold is a programmer's
error, and a KeyError."""
