"""The demo's payment partners' own book: trades, their refunds and disputes, what a day had.

Law: it is a partner's side, kept in memory; it knows nothing of the relay but what it was told.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from relayd.core.partner import PartnerKind
from relayd.core.timestamp import DAY_MS

TradeState = Literal["open", "paid", "failed", "expired"]
DisputeState = Literal["needs_response", "won", "lost"]
NUMBER_DIGITS: Final = 28
"""As Alipay's and WeChat Pay's own numbers have: more than any card's."""
_FEE_SHARE: Final = {"stripe": (29, 1000), "alipay": (6, 1000), "wechat": (6, 1000)}
_PREFIX: Final = {"stripe": "cs_demo_", "alipay": "ali_demo_", "wechat": "wx_demo_"}


class Told(NamedTuple):
    """What the merchant said about an order."""

    order: str
    currency: str
    amount: int
    webhook: str
    back: str
    expires_ms: int


@dataclass(slots=True)
class Returned:
    """One refund. `asked`: the merchant's own name for it; empty where the partner made it.
    `bounced`: the payer's bank sent it back."""

    id: str
    asked: str
    amount: int
    at_ms: int
    bounced: bool = False


@dataclass(slots=True)
class Disputed:
    """A dispute about the whole trade."""

    id: str
    state: DisputeState
    at_ms: int


@dataclass(slots=True)
class Trade:
    """One order as the partner has it. Amounts are minor units."""

    kind: PartnerKind
    session: str
    number: str
    told: Told
    state: TradeState = "open"
    paid_ms: int = 0
    refunds: list[Returned] = field(default_factory=list)
    dispute: Disputed | None = None

    @property
    def left(self) -> int:
        """What has not been returned."""
        return self.told.amount - sum(
            each.amount for each in self.refunds if not each.bounced)

    @property
    def fee(self) -> int:
        """What the partner takes for the payment, rounded half up."""
        share, of = _FEE_SHARE[self.kind]
        return (2 * self.told.amount * share + of) // (2 * of)


class Line(NamedTuple):
    """Something that happened on a day."""

    what: Literal["payment", "refund", "dispute", "dispute_won"]
    trade: Trade
    amount: int
    name: str
    at_ms: int


class Book:
    """All trades. `now_ms` is the partner's clock."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self.now_ms = now_ms
        self.trades: dict[str, Trade] = {}

    def begin(self, kind: PartnerKind, told: Told) -> Trade:
        """The trade of an order: a new one, or the one that there is."""
        known = self.of_order(kind, told.order)
        if known is not None:
            return known
        session = _PREFIX[kind] + secrets.token_hex(12)
        number = "pi_demo_" + secrets.token_hex(12) if kind == "stripe" else "".join(
            secrets.choice("0123456789") for _ in range(NUMBER_DIGITS))
        trade = self.trades[session] = Trade(kind, session, number, told)
        return trade

    def of_order(self, kind: PartnerKind, order: str) -> Trade | None:
        """The trade of an order of the merchant, or None."""
        found = (each for each in self.trades.values()
                 if each.kind == kind and each.told.order == order)
        return self.fresh(next(found, None))

    def of_number(self, number: str) -> Trade | None:
        """The trade with this number of the partner's own, or None."""
        return next((each for each in self.trades.values() if each.number == number), None)

    def get(self, session: str) -> Trade | None:
        """The trade of a session, or None."""
        return self.fresh(self.trades.get(session))

    def fresh(self, trade: Trade | None) -> Trade | None:
        """The trade, expired if its time is over."""
        if trade is not None and trade.state == "open" \
                and trade.told.expires_ms <= self.now_ms():
            trade.state = "expired"
        return trade

    def pay(self, trade: Trade) -> bool:
        """The payer pays; False where it is too late for that."""
        if trade.state != "open":
            return False
        trade.state, trade.paid_ms = "paid", self.now_ms()
        return True

    def refund(self, trade: Trade, asked: str, amount: int) -> Returned | None:
        """Returns money, once for each name; None where there is not so much to return."""
        for each in trade.refunds:
            if asked and each.asked == asked:
                return each if each.amount == amount else None
        if trade.state != "paid" or not 0 < amount <= trade.left:
            return None
        made = Returned(f"re_demo_{secrets.token_hex(8)}", asked, amount, self.now_ms())
        trade.refunds.append(made)
        return made

    def dispute(self, trade: Trade) -> Disputed | None:
        """The payer's bank asks for the payment back; None where there is none."""
        if trade.state != "paid" or trade.dispute is not None:
            return None
        trade.dispute = Disputed(f"dp_demo_{secrets.token_hex(8)}", "needs_response",
                                 self.now_ms())
        return trade.dispute

    def day(self, kind: PartnerKind, start_ms: int) -> list[Line]:
        """All that happened in the day that starts then, in order."""
        found = []
        for trade in self.trades.values():
            if trade.kind == kind and trade.state == "paid":
                found += _lines(trade)
        return sorted((each for each in found if start_ms <= each.at_ms < start_ms + DAY_MS),
                      key=lambda each: each.at_ms)


def _lines(trade: Trade) -> list[Line]:
    found = [Line("payment", trade, trade.told.amount, trade.told.order, trade.paid_ms)]
    found += [Line("refund", trade, each.amount, each.asked or each.id, each.at_ms)
              for each in trade.refunds]
    if trade.dispute is not None:
        dispute = trade.dispute
        found.append(Line("dispute", trade, trade.told.amount, dispute.id, dispute.at_ms))
        if dispute.state == "won":
            found.append(
                Line("dispute_won", trade, trade.told.amount, dispute.id, dispute.at_ms))
    return found
