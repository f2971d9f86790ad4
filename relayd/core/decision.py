"""What a partner's message does to its order: moves and transfers, or why there are none.

Law: amount, currency, partner and trade number are compared before anything moves. Each transfer's
cause is made of the order's, the refund's or the dispute's id, so that no repetition and no order
of messages moves money twice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from relayd.core import dispute as disputes
from relayd.core import refund as refunds
from relayd.core.currency import to_nano
from relayd.core.dispute import Dispute
from relayd.core.errors import RelayError
from relayd.core.order import UNPAID, Order, OrderMove, Outcome, can, moved
from relayd.core.partner import PartnerEvent
from relayd.core.posting import Transfer, TransferKind, move
from relayd.core.refund import Refund


@dataclass(frozen=True, slots=True)
class Known:
    """What is stored about the thing that a message is about. `bounced`: the refund had left the
    partner and came back, which it does once."""

    order: Order
    refund: Refund | None = None
    dispute: Dispute | None = None
    bounced: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What a message comes to: what is known afterwards, and the transfers between."""

    outcome: Outcome
    known: Known
    transfers: tuple[Transfer, ...] = ()


def decide(known: Known, event: PartnerEvent, now_ms: int) -> Decision:
    """The decision about a message that is proved to be the partner's; changes nothing itself."""
    mismatch = _mismatch(known.order, event)
    if mismatch is not None:
        return Decision(mismatch, known)
    return _DECIDE[event.kind](known, event, now_ms)


def hold(order: Order, refund: Refund) -> Decision:
    """The start of a refund that is asked for here. RelayError `order_state`, `payment_amount`."""
    held = moved(order, "hold")
    if not 0 < refund.amount_minor <= order.left_minor:
        raise RelayError("payment_amount", param="amount")
    return Decision("held", Known(held, refund), (
        _transfer("refund_hold", f"refund:{refund.id}:held", order, refund.amount_minor),))


def bounced_cause(refund_id: str) -> str:
    """Why there is the transfer of a refund that came back."""
    return f"refund:{refund_id}:bounced"


def _mismatch(order: Order, event: PartnerEvent) -> Outcome | None:
    if event.partner != order.partner:
        return "other_partner"
    if event.kind in ("failed", "expired", "ignored", "refund_failed"):
        return None
    if event.currency != order.currency:
        return "other_currency"
    whole = event.kind == "paid"
    if whole and (event.amount_minor != order.amount_minor or not event.trade):
        return "other_amount"
    if order.trade is not None and event.trade not in (None, order.trade):
        return "paid_twice" if whole else "other_amount"
    return None if event.amount_minor > 0 else "other_amount"


def _transfer(kind: TransferKind, cause: str, order: Order, amount_minor: int) -> Transfer:
    return move(kind, cause, to_nano(amount_minor, order.currency), order.currency,
                account=order.account, partner=order.partner)


def _paid(known: Known, event: PartnerEvent, now_ms: int) -> Decision:
    order = known.order
    if order.state not in UNPAID:
        return Decision("already", known)
    paid = replace(moved(order, "pay"), trade=event.trade, paid_at_ms=now_ms, page=None)
    return Decision("credited", replace(known, order=moved(paid, "credit")), (
        _transfer("top_up", f"order:{order.id}:credited", order, order.amount_minor),))


def _ended(step: OrderMove, outcome: Outcome, known: Known) -> Decision:
    if not can(known.order, step):
        return Decision("already", known)
    ended = replace(moved(known.order, step), page=None)
    return Decision(outcome, replace(known, order=ended))


def _failed(known: Known, event: PartnerEvent, now_ms: int) -> Decision:
    return _ended("fail", "failed", known)


def _expired(known: Known, event: PartnerEvent, now_ms: int) -> Decision:
    return _ended("expire", "expired", known)


def _ignored(known: Known, event: PartnerEvent, now_ms: int) -> Decision:
    return Decision("ignored", known)


def _refunded(known: Known, event: PartnerEvent, now_ms: int) -> Decision:
    order, refund = known.order, known.refund
    if order.state in UNPAID:
        return Decision("too_late", known)
    if refund is not None and refund.state == "done":
        return Decision("already", known)
    if known.bounced:
        return Decision("too_late", known)
    if event.amount_minor > order.left_minor \
            or (refund is not None and refund.amount_minor != event.amount_minor):
        return Decision("other_amount", known)
    back = replace(order, refunded_minor=order.refunded_minor + event.amount_minor)
    step: OrderMove = "return_part" if back.left_minor else "return_all"
    held = refund is not None and refund.state == "pending"
    # made at the partner while one that was asked for here is under way, which then ends it
    beside = order.state == "refunding" and not held
    if not can(order, step):
        return Decision("too_late", known)
    if refund is None:
        refund = Refund(event.reference, order.id, event.amount_minor, "pending", now_ms)
    kind: TransferKind = "refund" if held else "refund_by_partner"
    return Decision("returned", replace(
        known, order=back if beside else moved(back, step),
        refund=refunds.moved(refund, "return", now_ms),
    ), (_transfer(kind, f"refund:{refund.id}:returned", order, event.amount_minor),))


def _refund_failed(known: Known, event: PartnerEvent, now_ms: int) -> Decision:
    order, refund = known.order, known.refund
    if refund is None:
        return Decision("ignored", known)
    if refund.state == "failed":
        return Decision("already", known)
    if refund.state == "done":
        return _bounced(known, refund, now_ms)
    step: OrderMove = "release_part" if order.refunded_minor else "release"
    if not can(order, step):
        return Decision("too_late", known)
    return Decision("released", replace(
        known, order=moved(order, step), refund=refunds.moved(refund, "fail", now_ms),
    ), (_transfer("refund_void", f"refund:{refund.id}:released", order, refund.amount_minor),))


def _bounced(known: Known, refund: Refund, now_ms: int) -> Decision:
    """A refund that had left the partner, and that the payer's bank sent back."""
    order = known.order
    back = replace(order, refunded_minor=order.refunded_minor - refund.amount_minor)
    step: OrderMove = "bounce_part" if back.refunded_minor else "bounce"
    if known.bounced or not can(order, step):
        return Decision("too_late", known)
    return Decision("bounced", replace(
        known, order=moved(back, step), refund=refunds.moved(refund, "fail", now_ms),
    ), (_transfer("refund_bounced", bounced_cause(refund.id), order, refund.amount_minor),))


def _disputed(known: Known, event: PartnerEvent, now_ms: int) -> Decision:
    order = known.order
    if known.dispute is not None:
        return Decision("already", known)
    if not can(order, "dispute"):
        return Decision("too_late", known)
    if event.amount_minor > order.amount_minor:
        return Decision("other_amount", known)
    opened = Dispute(event.reference, order.id, event.amount_minor, "open", now_ms)
    return Decision("disputed", replace(known, order=moved(order, "dispute"), dispute=opened), (
        _transfer("dispute", f"dispute:{opened.id}:opened", order, opened.amount_minor),))


def _won(known: Known, event: PartnerEvent, now_ms: int) -> Decision:
    return _closed(known, event, now_ms, won=True)


def _lost(known: Known, event: PartnerEvent, now_ms: int) -> Decision:
    return _closed(known, event, now_ms, won=False)


def _closed(known: Known, event: PartnerEvent, now_ms: int, *, won: bool) -> Decision:
    """The end of a dispute; where its start has not been heard of, that comes first. One that
    ended and, after an appeal, ends otherwise is for a person to look at."""
    if known.dispute is not None and known.dispute.state != "open":
        return Decision("already" if won == (known.dispute.state == "won") else "too_late", known)
    before: tuple[Transfer, ...] = ()
    if known.dispute is None:
        opened = _disputed(known, event, now_ms)
        if opened.outcome != "disputed":
            return opened
        known, before = opened.known, opened.transfers
    dispute = known.dispute
    assert dispute is not None
    kind: TransferKind = "dispute_won" if won else "dispute_lost"
    closed = disputes.moved(dispute, "win" if won else "lose", now_ms)
    return Decision("won" if won else "lost", replace(
        known, order=moved(known.order, "win" if won else "lose"), dispute=closed,
    ), (*before,
        _transfer(kind, f"dispute:{dispute.id}:closed", known.order, dispute.amount_minor)))


_DECIDE: Final = {
    "paid": _paid, "failed": _failed, "expired": _expired, "ignored": _ignored,
    "refunded": _refunded, "refund_failed": _refund_failed, "disputed": _disputed,
    "dispute_won": _won, "dispute_lost": _lost}
