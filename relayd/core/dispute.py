"""The dispute: the payer's bank asks a payment back, and the partner decides whose it is.

Law: what is disputed is held until the decision, also where the balance then is below zero.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

from relayd.core.errors import RelayError

DisputeState = Literal["open", "won", "lost"]
DisputeMove = Literal["win", "lose"]
DISPUTE_MOVES: Final[dict[tuple[DisputeState, DisputeMove], DisputeState]] = {
    ("open", "win"): "won",
    ("open", "lose"): "lost",
}


@dataclass(frozen=True, slots=True)
class Dispute:
    """One dispute, under the partner's id."""

    id: str
    order: str
    amount_minor: int
    state: DisputeState
    opened_at_ms: int
    closed_at_ms: int | None = None


def moved(dispute: Dispute, step: DisputeMove, now_ms: int) -> Dispute:
    """The dispute after a move. Raises RelayError `order_state` where the table has no row."""
    state = DISPUTE_MOVES.get((dispute.state, step))
    if state is None:
        raise RelayError("order_state")
    return replace(dispute, state=state, closed_at_ms=now_ms)
