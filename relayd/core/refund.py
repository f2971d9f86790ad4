"""The refund: money of a paid order on its way back to the payer.

Law: what is to go back is held first, so that it cannot be spent meanwhile; it leaves the ledger
when the partner says that it went, and returns to the balance when it did not, also where a bank
sends it back weeks later. Given credit never goes back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

from relayd.core.errors import RelayError

RefundState = Literal["pending", "done", "failed"]
RefundMove = Literal["return", "fail"]
REFUND_MOVES: Final[dict[tuple[RefundState, RefundMove], RefundState]] = {
    ("pending", "return"): "done",
    ("pending", "fail"): "failed",
    # a partner that had given up tried again
    ("failed", "return"): "done",
    # the payer's bank did not take it
    ("done", "fail"): "failed",
}


@dataclass(frozen=True, slots=True)
class Refund:
    """One refund. One that was made at the partner has the partner's id as its own."""

    id: str
    order: str
    amount_minor: int
    state: RefundState
    asked_at_ms: int
    ended_at_ms: int | None = None


def moved(refund: Refund, step: RefundMove, now_ms: int) -> Refund:
    """The refund after a move. Raises RelayError `order_state` where the table has no row."""
    state = REFUND_MOVES.get((refund.state, step))
    if state is None:
        raise RelayError("order_state")
    return replace(refund, state=state, ended_at_ms=now_ms)
