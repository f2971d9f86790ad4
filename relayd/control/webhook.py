"""What payment partners say, by messages or when asked: believed, compared, and done once.

Law: a message is proved to be the partner's before it is read; a payment is credited only when the
partner, asked, says so too; and all that a message does is one transaction with the note that it
was heard. What does not fit an order is noted for a person to look at, and moves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from relayd.control import audit, mail
from relayd.control.partner import Partner, Payments, moment
from relayd.core.actor import SYSTEM, Actor
from relayd.core.currency import minor_text
from relayd.core.decision import Decision, Known, bounced_cause, decide
from relayd.core.errors import RelayError
from relayd.core.order import ALARMS, UNPAID, Order, Outcome
from relayd.core.partner import PartnerEvent
from relayd.store import account as store_account
from relayd.store import order as store_order
from relayd.store import partner as store_partner
from relayd.store import posting as store_posting
from relayd.store.db import Database
from relayd.store.partner import Heard as Said
from relayd.store.transaction import Transaction
from relayd.wire.partner import Acknowledgement

_ACTIONS: Final[dict[Outcome, str]] = {
    "credited": "order.credit", "returned": "refund.end", "released": "refund.end",
    "bounced": "refund.end",
    "disputed": "dispute.open", "won": "dispute.close", "lost": "dispute.close"}
_MAILS: Final[dict[Outcome, str]] = {
    "credited": "receipt", "returned": "refunded", "released": "refund_failed",
    "bounced": "refund_failed", "failed": "payment_failed", "disputed": "payment_disputed",
    "won": "dispute_won", "lost": "dispute_lost"}
_BACK: Final = ("bounced", "won")
"""Money that was gone is in the balance again."""
_IN: Final = ("credited", "released", *_BACK)
"""There is more in the balance than before."""
LISTED_MAX: Final = 200
_UNASKED: Final = ("failed", "expired", "ignored")


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of a message, and the answer that its partner wants."""

    outcome: str
    acknowledgement: Acknowledgement

    @property
    def is_alarm(self) -> bool:
        """Whether a person has to look at it."""
        return self.outcome in ALARMS


async def hear(
    db: Database, payments: Payments, name: str, message: tuple[Mapping[str, str], bytes],
    now_ms: int,
) -> Heard:
    """A message of the partner of this name: its headers in lower case, its body.

    Raises `partner_not_found`, `webhook_forged`, `webhook_stale` and `webhook_unreadable`;
    `partner_failed` where it could not be asked, so that it says the same again later.
    """
    partner = payments.partner(name)
    event = partner.adapter.webhook(*message, now_ms)
    outcome = await _before(db, event)
    if outcome is None:
        outcome = await _heard(db, payments, partner, event, now_ms)
    return Heard(outcome, partner.adapter.acknowledgement)


async def _before(db: Database, event: PartnerEvent) -> str | None:
    async with db.reading() as transaction:
        return await store_partner.outcome_of(transaction, event.partner, event.event)


async def _heard(
    db: Database, payments: Payments, partner: Partner, event: PartnerEvent, now_ms: int
) -> str:
    order = await _find_order(db, partner, event, now_ms)
    if order is None:
        return await note(db, event, "ignored" if event.kind == "ignored" else "unknown_order",
                          now_ms)
    event = replace(event, order=order.id)
    async with db.reading() as transaction:
        known, said = await _known(transaction, order, event)
        early = decide(known, said, now_ms)
    if early.outcome in ALARMS - {"too_late"} and event.amount_minor:
        return await note(db, event, early.outcome, now_ms)
    if order.state in UNPAID and event.kind not in _UNASKED:
        said = await _confirmed(partner, order, event, now_ms)
        if event.kind == "paid":
            return await apply(db, payments, said, now_ms)
        await apply(db, payments, replace(said, event=""), now_ms)
    if (event.kind == "refunded" and not event.amount_minor) or _undoes(known, early):
        event = await _ended(partner, order, event, now_ms)
    return await apply(db, payments, event, now_ms)


async def _confirmed(
    partner: Partner, order: Order, event: PartnerEvent, now_ms: int
) -> PartnerEvent:
    """The payment that a message takes for granted, as the partner has it: its figures count."""
    # the partner's answer to the order may have been lost, and its message not
    order = replace(order, session=order.session or event.session)
    said = await ask(partner, order, now_ms)
    if said.kind != "paid":
        # the partner contradicts itself: it shall say it again when it has made up its mind
        raise RelayError("partner_failed")
    return replace(said, event=event.event)


def _undoes(known: Known, early: Decision) -> bool:
    """Whether a refund that had ended would end otherwise, as by a message that was overtaken."""
    return known.refund is not None and known.refund.state != "pending" \
        and early.outcome in ("returned", "bounced", "too_late")


async def _ended(
    partner: Partner, order: Order, event: PartnerEvent, now_ms: int
) -> PartnerEvent:
    """How a refund ended, as its partner says when it is asked."""
    # the end of its account, or of its term, has emptied what the order has of its partner
    order = replace(order, trade=order.trade or event.trade)
    said = await partner.client.run(
        partner.adapter.refund_status(order, event.reference, moment(now_ms)))
    if said.kind == "ignored":
        raise RelayError("partner_failed")
    return replace(said, event=event.event, order=order.id)


async def ask(partner: Partner, order: Order, now_ms: int) -> PartnerEvent:
    """How an order stands with its partner; an event without a message's id."""
    return await partner.client.run(partner.adapter.status(order, moment(now_ms)))


async def _find_order(
    db: Database, partner: Partner, event: PartnerEvent, now_ms: int
) -> Order | None:
    """The order that a message names, by its id or by the payment. One that was not heard of as
    paid is known to the partner alone."""
    name = event.order
    if not name and event.trade:
        async with db.reading() as transaction:
            known = await store_order.by_trade(transaction, event.partner, event.trade)
        if known is not None:
            return known
        name = await partner.client.run(
            partner.adapter.order_of(event.trade, moment(now_ms)))
    async with db.reading() as transaction:
        return await store_order.find(transaction, name) if name else None


async def note(db: Database, event: PartnerEvent, outcome: Outcome, now_ms: int) -> str:
    """Keeps that a message was heard, where it does nothing; what came of it, by whoever."""
    async with db.writing() as transaction:
        return await _noted(transaction, event, outcome, now_ms)


async def _noted(
    transaction: Transaction, event: PartnerEvent, outcome: Outcome, now_ms: int
) -> str:
    if not event.event:
        if outcome not in ALARMS:
            return outcome
        # found by asking: a person has to look at it all the same
        event = replace(event, event=f"asked:{event.order}:{event.reference}")
    known = await store_partner.outcome_of(transaction, event.partner, event.event)
    if known is not None:
        return known
    await store_partner.insert(transaction, event, outcome, now_ms)
    return outcome


async def apply(db: Database, payments: Payments, event: PartnerEvent, now_ms: int) -> str:
    """Does what the event comes to, in one transaction; what came of it."""
    async with db.writing() as transaction:
        if event.event:
            known = await store_partner.outcome_of(transaction, event.partner, event.event)
            if known is not None:
                return known
        decision = await _decided(transaction, event, now_ms)
        await keep(transaction, decision, now_ms)
        outcome = await _tell(transaction, payments, decision, now_ms)
        return await _noted(transaction, event, outcome, now_ms)


async def _decided(transaction: Transaction, event: PartnerEvent, now_ms: int) -> Decision:
    order = await store_order.get(transaction, event.order)
    known, event = await _known(transaction, order, event)
    if event.kind == "paid" and event.trade:
        other = await store_order.by_trade(transaction, event.partner, event.trade)
        if other is not None and other.id != order.id:
            return Decision("trade_taken", known)
    return decide(known, event, now_ms)


async def _known(
    transaction: Transaction, order: Order, event: PartnerEvent
) -> tuple[Known, PartnerEvent]:
    """What is stored about what a message is about. A refund that was made at the partner may have
    the name that one of another order has here: then it gets one of its own."""
    if event.kind.startswith("dispute"):
        return Known(order, dispute=await store_order.find_dispute(
            transaction, event.reference, order.id)), event
    if event.kind not in ("refunded", "refund_failed"):
        return Known(order), event
    if await store_order.is_refund_of_another(transaction, event.reference, order.id):
        event = replace(event, reference=f"{order.id}/{event.reference}")
    refund = await store_order.find_refund(transaction, event.reference, order.id)
    bounced = refund is not None and await store_posting.find(
        transaction, bounced_cause(refund.id)) is not None
    return Known(order, refund, bounced=bounced), event


async def keep(transaction: Transaction, decision: Decision, now_ms: int) -> None:
    """Writes what is known after a decision, and its transfers."""
    known = decision.known
    await store_order.update(transaction, known.order)
    if known.refund is not None:
        await store_order.save_refund(transaction, known.refund)
    if known.dispute is not None:
        await store_order.save_dispute(transaction, known.dispute)
    for transfer in decision.transfers:
        await store_posting.post(transaction, transfer, now_ms)


async def _tell(
    transaction: Transaction, payments: Payments, decision: Decision, now_ms: int
) -> Outcome:
    """The audit log, and the account's holder where there still is one; the outcome, which is an
    alarm where money came in and nobody is there who will ask for it."""
    order, outcome = decision.known.order, decision.outcome
    amount = (decision.known.refund or decision.known.dispute or order).amount_minor
    if outcome in _ACTIONS:
        await audit.append(
            transaction, SYSTEM, _ACTIONS[outcome], order.account, now_ms,
            details={"order": order.id, "partner": order.partner, "outcome": outcome,
                     "amount_minor": amount, "currency": order.currency})
    holder = await store_account.readable(transaction, order.account)
    if holder is None or holder.email is None:
        erased = holder is not None and holder.state == "erased"
        return "unclaimed" if outcome in (_IN if erased else _BACK) else outcome
    if outcome in _MAILS:
        await mail.post(transaction, _MAILS[outcome], order.account, {
            "order": order.id, "link": payments.order_link(order.id),
            "amount": f"{minor_text(amount, order.currency)} {order.currency}"}, now_ms)
    return outcome


async def alarms(db: Database) -> list[Said]:
    """The newest messages that fit nothing here and that nobody has looked at."""
    async with db.reading() as transaction:
        return await store_partner.unseen(transaction, ALARMS, LISTED_MAX)


async def see(db: Database, actor: Actor, partner: str, event: str, now_ms: int) -> bool:
    """Notes that a person has looked at a message; False where there is nothing to look at."""
    async with db.writing() as transaction:
        if not await store_partner.see(transaction, partner, event, now_ms):
            return False
        await audit.append(transaction, actor, "alarm.see", None, now_ms,
                           details={"partner": partner})
    return True
