"""The order: a top-up of a holder's balance, paid at a partner.

Law: states move by the table alone, and money is credited by the one move `credit`, which only a
paid order has. core/decision.py says which moves a partner's message makes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final, Literal

from relayd.core.errors import RelayError

OrderState = Literal["created", "pending", "paid", "credited", "expired", "refunding", "refunded",
                     "part_refunded", "disputed", "dispute_won", "dispute_lost", "failed"]
OrderMove = Literal["submit", "pay", "credit", "expire", "fail", "hold", "return_part",
                    "return_all", "release", "release_part", "bounce", "bounce_part", "dispute",
                    "win", "lose"]
ORDER_STATES: Final[tuple[OrderState, ...]] = (
    "created", "pending", "paid", "credited", "expired", "refunding", "refunded",
    "part_refunded", "disputed", "dispute_won", "dispute_lost", "failed")
ORDER_MOVES: Final[dict[tuple[OrderState, OrderMove], OrderState]] = {
    ("created", "submit"): "pending",
    ("created", "fail"): "failed",
    ("pending", "fail"): "failed",
    ("created", "expire"): "expired",
    ("pending", "expire"): "expired",
    # the partner's message may outrun its own answer, or come when nobody waits any longer
    ("created", "pay"): "paid",
    ("pending", "pay"): "paid",
    ("expired", "pay"): "paid",
    ("failed", "pay"): "paid",
    ("paid", "credit"): "credited",
    # a refund that was asked for here: held, then returned by the partner, or released
    ("credited", "hold"): "refunding",
    ("part_refunded", "hold"): "refunding",
    ("dispute_won", "hold"): "refunding",
    ("refunding", "return_part"): "part_refunded",
    ("refunding", "return_all"): "refunded",
    ("refunding", "release"): "credited",
    ("refunding", "release_part"): "part_refunded",
    # one that was made at the partner
    ("credited", "return_part"): "part_refunded",
    ("credited", "return_all"): "refunded",
    ("part_refunded", "return_part"): "part_refunded",
    ("part_refunded", "return_all"): "refunded",
    ("dispute_won", "return_part"): "part_refunded",
    ("dispute_won", "return_all"): "refunded",
    # the payer's bank takes the money back, and a partner decides whose it is
    ("credited", "dispute"): "disputed",
    ("refunding", "dispute"): "disputed",
    ("part_refunded", "dispute"): "disputed",
    ("dispute_won", "dispute"): "disputed",
    ("disputed", "win"): "dispute_won",
    ("disputed", "lose"): "dispute_lost",
    # a refund that was under way ends inside a dispute
    ("disputed", "return_part"): "disputed",
    ("disputed", "return_all"): "disputed",
    ("disputed", "release"): "disputed",
    ("disputed", "release_part"): "disputed",
    # or after it, or after another one that was made at the partner meanwhile
    ("dispute_won", "release"): "dispute_won",
    ("dispute_won", "release_part"): "dispute_won",
    ("dispute_lost", "release"): "dispute_lost",
    ("dispute_lost", "release_part"): "dispute_lost",
    ("dispute_lost", "return_part"): "dispute_lost",
    ("dispute_lost", "return_all"): "dispute_lost",
    ("part_refunded", "release_part"): "part_refunded",
    ("refunded", "release_part"): "refunded",
    # a refund that had left the partner came back: nothing is returned any more, or another part
    ("refunded", "bounce"): "credited",
    ("refunded", "bounce_part"): "part_refunded",
    ("part_refunded", "bounce"): "credited",
    ("part_refunded", "bounce_part"): "part_refunded",
    ("refunding", "bounce"): "refunding",
    ("refunding", "bounce_part"): "refunding",
    ("disputed", "bounce"): "disputed",
    ("disputed", "bounce_part"): "disputed",
    ("dispute_won", "bounce"): "dispute_won",
    ("dispute_won", "bounce_part"): "dispute_won",
    ("dispute_lost", "bounce"): "dispute_lost",
    ("dispute_lost", "bounce_part"): "dispute_lost",
}
UNPAID: Final[frozenset[OrderState]] = frozenset({"created", "pending", "expired", "failed"})
REFUNDABLE: Final[frozenset[OrderState]] = frozenset({"credited", "part_refunded", "dispute_won"})

ON_PHONE: Final = "h5:"
"""Begins the session of an attempt to pay on the telephone that the page is read on."""

Outcome = Literal["credited", "failed", "expired", "held", "returned", "released", "bounced",
                  "disputed", "won", "lost", "already", "ignored", "unknown_order",
                  "other_partner", "other_currency", "other_amount", "paid_twice", "trade_taken",
                  "too_late", "unclaimed"]
ALARMS: Final[frozenset[Outcome]] = frozenset({
    "unknown_order", "other_partner", "other_currency", "other_amount", "paid_twice",
    "trade_taken", "too_late", "unclaimed"})
"""Outcomes that a person has to look at: a partner's message does not fit what is known here, or
money came in, or back, to an account that is erased."""


@dataclass(frozen=True, slots=True)
class Order:
    """One top-up. `session` is the partner's name for the attempt to pay, `trade` for the payment;
    `page` the hosted page, until it is of no use."""

    id: str
    account: str
    partner: str
    currency: str
    amount_minor: int
    state: OrderState
    created_at_ms: int
    expires_at_ms: int
    session: str | None = None
    page: str | None = field(default=None, repr=False)
    trade: str | None = None
    paid_at_ms: int | None = None
    refunded_minor: int = 0

    @property
    def on_phone(self) -> bool:
        """Whether it is paid on the telephone that its page is read on."""
        return self.session is not None and self.session.startswith(ON_PHONE)

    @property
    def left_minor(self) -> int:
        """What can still be returned."""
        return self.amount_minor - self.refunded_minor


def advance(state: OrderState, step: OrderMove) -> OrderState:
    """The state after a move. Raises RelayError `order_state` where the table has no row."""
    try:
        return ORDER_MOVES[state, step]
    except KeyError:
        raise RelayError("order_state") from None


def can(order: Order, step: OrderMove) -> bool:
    """Whether the table has a row for it."""
    return (order.state, step) in ORDER_MOVES


def moved(order: Order, step: OrderMove) -> Order:
    """The order after a move."""
    return replace(order, state=advance(order.state, step))
