"""Fapiao: apply from paid orders, look, take back; and the desk of who issues them.

Law: what all fapiao have of an order is never more than what was paid for it and not refunded, and
red letters never take back more than their blue one has: both are judged in the transaction that
writes.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from relayd.control import audit, enterprise, invoice
from relayd.control.invoice import Seller
from relayd.core.account import check_label
from relayd.core.actor import Actor
from relayd.core.currency import minor_text
from relayd.core.enterprise import CHARS_MAX
from relayd.core.errors import RelayError
from relayd.core.fapiao import (
    CURRENCY, ORDERS_MAX, REASONS, RED_REASONS, STANDING, Fapiao, FapiaoKind, FapiaoMove, Share,
    advance, check_number, parts, red_tax, spread,
)
from relayd.core.order import REFUNDABLE, Order
from relayd.core.timestamp import DAY_MS, rfc3339
from relayd.core.ulid import RANDOM_BYTES, ulid
from relayd.store import enterprise as store_enterprise
from relayd.store import fapiao as store_fapiao
from relayd.store import order as store_order
from relayd.store.db import Database
from relayd.store.directory import StoreError
from relayd.store.fapiao import FapiaoFilter
from relayd.store.order import OrderFilter
from relayd.store.transaction import Transaction

PREFIX: Final = "fap_"
LISTED_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Wish:
    """What is applied for. `title`: a person's own name; None takes the enterprise's. `shown`: the
    company's address, telephone and bank stand on it."""

    orders: Sequence[str]
    kind: FapiaoKind = "ordinary"
    title: str | None = field(default=None, repr=False)
    shown: bool = False


class Offer(NamedTuple):
    """Who issues, and how long after its payment an order can be applied for."""

    seller: Seller
    days: int


def _id(now_ms: int) -> str:
    return PREFIX + ulid(now_ms, secrets.token_bytes(RANDOM_BYTES))


async def open_orders(
    db: Database, account: str, days: int, now_ms: int
) -> list[tuple[Order, int]]:
    """An account's orders of which a fapiao can be issued, and how many fen of each."""
    async with db.reading() as transaction:
        orders = await store_order.listing(
            transaction, OrderFilter(account, tuple(sorted(REFUNDABLE))), LISTED_MAX)
        taken = await store_fapiao.taken(transaction, [each.id for each in orders])
    found = [(each, each.left_minor - taken.get(each.id, 0)) for each in orders
             if _in_time(each, days, now_ms)]
    return [(each, left) for each, left in found if left > 0]


def _in_time(order: Order, days: int, now_ms: int) -> bool:
    return order.currency == CURRENCY and order.paid_at_ms is not None \
        and now_ms - order.paid_at_ms <= days * DAY_MS


async def apply(
    db: Database, actor: Actor, account: str, wish: Wish, offer: Offer, now_ms: int,
) -> Fapiao:
    """An application for what is left of these orders.

    Raises `fapiao_amount`, `order_not_found`; `not_enterprise` where a company's title, or a
    special one, is asked for by somebody else; `invalid_value`.
    """
    wanted, seller = sorted(set(wish.orders)), offer.seller
    if not 0 < len(wanted) <= ORDERS_MAX:
        raise RelayError("invalid_value", param="orders")
    async with db.writing() as transaction:
        buyer = await _buyer(transaction, account, wish)
        shares = await _shares(transaction, account, wanted, offer.days, now_ms)
        amount = sum(share.minor for share in shares)
        made = Fapiao(
            id=_id(now_ms), account=account, kind=wish.kind, state="submitted",
            amount_minor=amount, tax_minor=parts(amount, seller.vat.rate).tax,
            vat_rate=seller.vat.rate, created_at_ms=now_ms,
            until_ms=now_ms + seller.terms.ms("invoices"), shares=shares, buyer=buyer)
        await store_fapiao.insert(transaction, made)
        await audit.append(transaction, actor, "fapiao.apply", account, now_ms,
                           details={"fapiao": made.id, "kind": made.kind, "amount_minor": amount})
    return made


async def _buyer(transaction: Transaction, account: str, wish: Wish) -> dict[str, str]:
    if wish.title is not None and wish.kind == "ordinary":
        return {"name": check_label(wish.title, "title", CHARS_MAX["name"])}
    marked = await store_enterprise.find(transaction, account)
    if marked is None or marked.profile is None:
        raise RelayError("not_enterprise")
    return await enterprise.buyer(transaction, account, shown=wish.shown)


async def _shares(
    transaction: Transaction, account: str, wanted: Sequence[str], days: int, now_ms: int,
) -> tuple[Share, ...]:
    taken = await store_fapiao.taken(transaction, wanted)
    shares = []
    for order_id in wanted:
        order = await store_order.get(transaction, order_id)
        if order.account != account:
            raise RelayError("order_not_found", param="order")
        left = order.left_minor - taken.get(order_id, 0)
        if order.state not in REFUNDABLE or left <= 0 or not _in_time(order, days, now_ms):
            raise RelayError("fapiao_amount", param="orders")
        shares.append(Share(order_id, left))
    return tuple(shares)


async def own(db: Database, account: str, fapiao_id: str) -> Fapiao:
    """One of one's own. Raises `fapiao_not_found`, for anybody else's as well."""
    async with db.reading() as transaction:
        found = await store_fapiao.get(transaction, fapiao_id)
    if found.account != account:
        raise RelayError("fapiao_not_found", param="fapiao")
    return found


async def look(db: Database, actor: Actor, fapiao_id: str, now_ms: int) -> Fapiao:
    """Anybody's, for who issues it; the look is in the log."""
    async with db.writing() as transaction:
        found = await store_fapiao.get(transaction, fapiao_id)
        await audit.append(transaction, actor, "fapiao.look", found.account, now_ms,
                           details={"fapiao": found.id})
    return found


async def listing(db: Database, wanted: FapiaoFilter, most: int = LISTED_MAX) -> list[Fapiao]:
    """The newest of the wanted ones."""
    async with db.reading() as transaction:
        return await store_fapiao.listing(transaction, wanted, min(most, LISTED_MAX))


async def too_much(db: Database) -> list[tuple[str, str, int]]:
    """(order, account, fen): refunded since, so that a red letter is due."""
    async with db.reading() as transaction:
        return await store_fapiao.too_much(transaction, LISTED_MAX)


async def _step(
    transaction: Transaction, actor: Actor, found: Fapiao, move: FapiaoMove, action: str,
    now_ms: int,
) -> Fapiao:
    moved = replace(found, state=advance(found.state, move))
    await store_fapiao.update(transaction, moved)
    await audit.append(transaction, actor, action, found.account, now_ms,
                       details={"fapiao": found.id, "state": moved.state,
                                "why": found.reason})
    return moved


async def cancel(db: Database, actor: Actor, account: str, fapiao_id: str, now_ms: int) -> Fapiao:
    """The holder takes an application back that nobody has taken up. Raises `fapiao_state`."""
    async with db.writing() as transaction:
        found = await store_fapiao.get(transaction, fapiao_id)
        if found.account != account:
            raise RelayError("fapiao_not_found", param="fapiao")
        return await _step(transaction, actor, found, "cancel", "fapiao.cancel", now_ms)


async def take(db: Database, actor: Actor, fapiao_id: str, now_ms: int) -> Fapiao:
    """Somebody looks after an application from now on. Raises `fapiao_state`."""
    async with db.writing() as transaction:
        found = await store_fapiao.get(transaction, fapiao_id)
        return await _step(transaction, actor, found, "take", "fapiao.take", now_ms)


async def reject(
    db: Database, actor: Actor, fapiao_id: str, reason: str, seller: Seller, now_ms: int,
) -> Fapiao:
    """An application is rejected, for a reason of core/fapiao.py; a red letter is given up.

    Its orders can be applied for again. Raises `fapiao_state`, `invalid_value`.
    """
    async with db.writing() as transaction:
        found = await store_fapiao.get(transaction, fapiao_id)
        if found.reverses is not None:
            return await _step(transaction, actor, found, "refuse", "fapiao.confirm", now_ms)
        if reason not in REASONS:
            raise RelayError("invalid_value", param="reason")
        found = replace(found, reason=reason)
        rejected = await _step(transaction, actor, found, "reject", "fapiao.reject", now_ms)
        await invoice.tell(transaction, seller, found.account, "fapiao_rejected", {
            "link": f"{seller.origin}/fapiao/{found.id}"}, now_ms)
    return rejected


async def reverse(
    db: Database, actor: Actor, fapiao_id: str, back_minor: int, reason: str, now_ms: int,
) -> Fapiao:
    """A red letter over a part of a blue one, or all that is left of it.

    Raises `fapiao_state`, `fapiao_amount`, `invalid_value`.
    """
    if reason not in RED_REASONS:
        raise RelayError("invalid_value", param="reason")
    async with db.writing() as transaction:
        blue = await store_fapiao.get(transaction, fapiao_id)
        if blue.state not in STANDING:
            raise RelayError("fapiao_state")
        left = await store_fapiao.left(transaction, blue)
        tax = red_tax(blue, back_minor, left)
        red = Fapiao(
            id=_id(now_ms), account=blue.account, kind=blue.kind, state="red_requested",
            amount_minor=-back_minor, tax_minor=-tax, vat_rate=blue.vat_rate,
            created_at_ms=now_ms, until_ms=max(blue.until_ms, now_ms + 1),
            shares=spread(back_minor, await store_fapiao.left_shares(transaction, blue)),
            buyer=blue.buyer, reason=reason, reverses=blue.id)
        await store_fapiao.insert(transaction, red)
        await audit.append(transaction, actor, "fapiao.reverse", blue.account, now_ms,
                           details={"fapiao": blue.id, "red": red.id, "why": reason,
                                    "amount_minor": -back_minor})
    return red


async def confirm(
    db: Database, actor: Actor, fapiao_id: str, confirmation: str, now_ms: int
) -> Fapiao:
    """The platform confirmed a red letter under this number. Raises `fapiao_state`;
    `invalid_value` for a number that is another one's."""
    number = check_number(confirmation, "confirmation")
    try:
        async with db.writing() as transaction:
            found = replace(await store_fapiao.get(transaction, fapiao_id), confirmation=number)
            return await _step(transaction, actor, found, "confirm", "fapiao.confirm", now_ms)
    except StoreError as error:
        if error.code != "store_refused":
            raise
        raise RelayError("invalid_value", param="confirmation") from None


def view(found: Fapiao) -> dict[str, object]:
    """One as JSON shows it; amounts are fen."""
    return {
        "id": found.id, "account": found.account, "kind": found.kind, "state": found.state,
        "amount_minor": found.amount_minor, "tax_minor": found.tax_minor,
        "vat_rate": found.vat_rate, "created_at": rfc3339(found.created_at_ms),
        "reason": found.reason, "reverses": found.reverses, "confirmation": found.confirmation,
        "number": found.number, "issued_on": found.issued_on, "buyer": dict(found.buyer),
        "orders": {share.order: share.minor for share in found.shares},
    }


def amount_text(minor: int) -> str:
    """`-12.30`."""
    return minor_text(minor, CURRENCY)
