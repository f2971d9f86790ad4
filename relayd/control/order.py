"""Orders: top up a balance, look at orders, ask for refunds.

Law: the order is in the store before the partner hears of it, and what goes back is held before
the partner is asked to return it. Asking twice with the same key is asking once.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field, replace
from typing import Final

from relayd.control import audit, conflict, wallet, webhook
from relayd.control.partner import Partner, Payments, moment
from relayd.core.actor import Actor
from relayd.core.currency import minor_text, to_nano
from relayd.core.decision import hold
from relayd.core.dispute import Dispute
from relayd.core.errors import RelayError
from relayd.core.network import address_of
from relayd.core.order import Order, moved
from relayd.core.partner import Checkout, PartnerEvent
from relayd.core.posting import LedgerAccount
from relayd.core.refund import Refund
from relayd.core.timestamp import DAY_MS, rfc3339, rfc3339_or_none
from relayd.core.ulid import RANDOM_BYTES, ulid
from relayd.store import account as store_account
from relayd.store import order as store_order
from relayd.store import posting as store_posting
from relayd.store.db import Database
from relayd.store.order import OrderFilter
from relayd.store.secret import derived
from relayd.store.transaction import Transaction

ORDER_PREFIX: Final = "ord_"
REFUND_PREFIX: Final = "rfd_"
OPEN_MAX: Final = 20
"""Orders of one account that wait for their payment at a time."""
CLIENT_KEY_CHARS_MAX: Final = 200
KEY_LABEL: Final = "idempotency keys of orders"
LISTED_MAX: Final = 200
REFUSED_MS: Final = DAY_MS
WAITS_MS: Final = 30 * DAY_MS
"""How long an order stays open beyond its time while its money is on the way."""
_PAYING: Final = ("active", "suspended")


@dataclass(frozen=True, slots=True)
class OrderWish:
    """What is asked for. `client_key`: asking again with the same one gives the same order.
    `payer`: the payer's network address, where they chose to pay on the telephone they are on; it
    is told to the partner and kept nowhere."""

    partner: str
    amount_minor: int
    client_key: str | None = None
    payer: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class RefundWish:
    """What shall go back, and why: words for the audit log."""

    order: str
    amount_minor: int
    reason: str = field(repr=False)


async def create(
    db: Database, payments: Payments, actor: Actor, account_id: str, wish: OrderWish, now_ms: int,
) -> Order:
    """A new order and its page at the partner; or the one that was made with this key.

    Raises `partner_not_found`, `payment_amount`, `idempotency_mismatch`, `account_state`,
    `rate_limited`; `partner_failed` where the partner cannot be reached: ask again with the key.
    """
    partner = payments.partner(wish.partner)
    config = payments.config
    if not config.top_up_min <= wish.amount_minor <= config.top_up_max:
        raise RelayError("payment_amount", param="amount")
    if wish.payer is not None and not (
            config.partners[partner.name].h5 and address_of(wish.payer)):
        raise RelayError("partner_not_found", param="partner")
    order = await _made(db, payments, actor, account_id, wish, now_ms)
    if order.state != "created" or order.expires_at_ms <= now_ms:
        return order
    try:
        opened = await partner.client.run(partner.adapter.checkout(
            order, payments.addresses(partner.name, order.id, wish.payer), moment(now_ms)),
            wished=wish.payer is not None)
    except RelayError as error:
        if error.code != "partner_failed":
            await _failed(db, order.id)
        raise
    return await _submitted(db, order.id, opened)


async def _made(
    db: Database, payments: Payments, actor: Actor, account_id: str, wish: OrderWish, now_ms: int,
) -> Order:
    client_key = asked = None
    if wish.client_key is not None:
        client_key, asked = _hashes(db, account_id, wish, payments.config.currency)
    async with db.writing() as transaction:
        if client_key is not None and asked is not None:
            known = await _known(transaction, account_id, client_key, asked)
            if known is not None:
                return known
        await _judge(transaction, account_id)
        order = Order(
            ORDER_PREFIX + ulid(now_ms, secrets.token_bytes(RANDOM_BYTES)), account_id,
            wish.partner, payments.config.currency, wish.amount_minor, "created", now_ms,
            now_ms + payments.config.order_minutes * 60_000)
        await store_order.insert(transaction, order, client_key, asked)
        await audit.append(
            transaction, actor, "order.create", account_id, now_ms,
            details={"order": order.id, "partner": order.partner,
                     "amount_minor": order.amount_minor, "currency": order.currency,
                     # whether the partner was told where the payer is; not where that is
                     "h5": wish.payer is not None})
    return order


async def _known(
    transaction: Transaction, account_id: str, client_key: bytes, asked: bytes
) -> Order | None:
    """The order that was made with this key, where the same was asked."""
    known = await store_order.by_client_key(transaction, account_id, client_key)
    if known is not None and not hmac.compare_digest(known[1], asked):
        raise RelayError("idempotency_mismatch", param="idempotency_key")
    return None if known is None else known[0]


async def _judge(transaction: Transaction, account_id: str) -> None:
    account = await store_account.get(transaction, account_id)
    if account.state not in _PAYING:
        raise RelayError("account_state")
    waiting = await store_order.listing(
        transaction, OrderFilter(account_id, ("created", "pending")), OPEN_MAX)
    if len(waiting) >= OPEN_MAX:
        raise RelayError("rate_limited")


def _hashes(
    db: Database, account_id: str, wish: OrderWish, currency: str
) -> tuple[bytes, bytes]:
    """Keyed hashes of the client's key and of what is asked: neither is kept itself."""
    text = wish.client_key or ""
    if not 0 < len(text) <= CLIENT_KEY_CHARS_MAX or not text.isprintable():
        raise RelayError("invalid_value", param="idempotency_key")
    key = derived(db.secret, KEY_LABEL)
    asked = f"{account_id}\n{wish.partner}\n{wish.amount_minor}\n{currency}"
    if wish.payer is not None:
        asked += "\nh5"
    return (hmac.digest(key, b"key\n" + text.encode(), "sha256"),
            hmac.digest(key, b"asked\n" + asked.encode(), "sha256"))


async def _submitted(db: Database, order_id: str, opened: Checkout) -> Order:
    async with db.writing() as transaction:
        order = await store_order.get(transaction, order_id)
        if order.state != "created":
            return order  # the partner's message was here first
        order = replace(moved(order, "submit"), session=opened.session, page=opened.page)
        await store_order.update(transaction, order)
    return order


async def _failed(db: Database, order_id: str) -> None:
    async with db.writing() as transaction:
        order = await store_order.get(transaction, order_id)
        if order.state == "created":
            await store_order.update(transaction, moved(order, "fail"))


async def get(db: Database, order_id: str, account_id: str | None = None) -> Order:
    """The order with this id; of this account alone, where one is named."""
    async with db.reading() as transaction:
        order = await store_order.get(transaction, order_id)
    if account_id is not None and order.account != account_id:
        raise RelayError("order_not_found", param="order")
    return order


async def listing(db: Database, wanted: OrderFilter, most: int = LISTED_MAX) -> list[Order]:
    """The newest of the wanted orders."""
    async with db.reading() as transaction:
        return await store_order.listing(transaction, wanted, min(most, LISTED_MAX))


async def refresh(db: Database, payments: Payments, order: Order, now_ms: int) -> Order:
    """Asks the partner how an open order stands; the order afterwards. One of a partner that is
    set up no more ends with its time, one that the partner knows nothing of a day later, and one
    whose payer has done all, while the money takes days, when nobody waits for it any more."""
    if order.state not in ("created", "pending", "expired"):
        return order
    partner = payments.partners.get(order.partner)
    said = PartnerEvent(order.partner, "", "ignored", order.id)
    try:
        if partner is not None:
            said = await webhook.ask(partner, order, now_ms)
    except RelayError as error:
        # as where its key is another account's by now: such orders would be open for ever
        if error.code != "partner_refused" or now_ms < order.expires_at_ms + REFUSED_MS:
            raise
    ends_ms = order.expires_at_ms + (WAITS_MS if said.waits else 0)
    if said.kind == "ignored" and ends_ms <= now_ms:
        said = PartnerEvent(order.partner, "", "expired", order.id)
    if said.kind != "ignored":
        await webhook.apply(db, payments, said, now_ms)
    return await get(db, order.id)


async def refund(
    db: Database, payments: Payments, actor: Actor, wish: RefundWish, now_ms: int,
) -> Refund:
    """Holds the amount and asks the partner to return it.

    Raises what `begin_refund` raises; and what the partner's way does: then the refund stays
    `pending`, and is asked for again (`ask_again`).
    """
    payments.partner((await get(db, wish.order)).partner)
    return await ask_again(db, payments, await begin_refund(db, actor, wish, now_ms), now_ms)


async def begin_refund(db: Database, actor: Actor, wish: RefundWish, now_ms: int) -> Refund:
    """Holds the amount; the daemon asks the partner for it within a minute.

    Raises `order_state`, `payment_amount`, `balance_short`, `reason_missing`, `own_account`.
    """
    amount_minor = wish.amount_minor
    await conflict.judge_own(db, actor, (await get(db, wish.order)).account, "refund.ask", now_ms)
    async with db.writing() as transaction:
        order = await store_order.get(transaction, wish.order)
        asked = Refund(REFUND_PREFIX + ulid(now_ms, secrets.token_bytes(RANDOM_BYTES)), order.id,
                       amount_minor, "pending", now_ms)
        others = await store_order.refunds(transaction, order.id)
        if any(each.state == "pending" for each in others):
            raise RelayError("order_state")
        decision = hold(order, asked)
        # calls that are stored and not yet charged are used up as well
        await wallet.charge_account(transaction, order.account, now_ms)
        party = LedgerAccount("balance", order.account, order.currency)
        if await store_posting.balance(transaction, party) < to_nano(amount_minor,
                                                                     order.currency):
            raise RelayError("balance_short")
        await webhook.keep(transaction, decision, now_ms)
        await audit.append(
            transaction, actor, "refund.ask", order.account, now_ms, reason=wish.reason,
            details={"order": order.id, "refund": asked.id, "amount_minor": amount_minor,
                     "currency": order.currency})
    return asked


async def ask_again(
    db: Database, payments: Payments, pending: Refund, now_ms: int
) -> Refund:
    """Asks for a refund once more that the partner has not ended; it is the same one there."""
    order = await get(db, pending.order)
    return await _asked(db, payments, payments.partner(order.partner), order, pending, now_ms)


async def _asked(
    db: Database, payments: Payments, partner: Partner, order: Order, asked: Refund, now_ms: int,
) -> Refund:
    said = await partner.client.run(partner.adapter.refund(
        order, asked, payments.addresses(partner.name, order.id), moment(now_ms)))
    if said.kind != "ignored":
        await webhook.apply(db, payments, replace(said, order=order.id), now_ms)
    async with db.reading() as transaction:
        return await store_order.find_refund(transaction, asked.id, order.id) or asked


async def waiting(
    db: Database, until_ms: int, most: int, after: Order | None = None
) -> list[Order]:
    """Orders that wait for their payment and were made before this moment, oldest first, from
    behind one."""
    async with db.reading() as transaction:
        return await store_order.open_ones(
            transaction, until_ms, most, "" if after is None else after.id)


async def pending_refunds(db: Database, most: int, after: Refund | None = None) -> list[Refund]:
    """Refunds that their partners have not ended, oldest first, from behind one."""
    async with db.reading() as transaction:
        return await store_order.pending_refunds(
            transaction, most, *(() if after is None else ((after.asked_at_ms, after.id),)))


async def disputes(db: Database) -> list[Dispute]:
    """The newest disputes."""
    async with db.reading() as transaction:
        return await store_order.disputes(transaction, LISTED_MAX)


async def refunds(db: Database, order_id: str) -> list[Refund]:
    """All refunds of an order."""
    async with db.reading() as transaction:
        return await store_order.refunds(transaction, order_id)


def view(order: Order) -> dict[str, object]:
    """The order as JSON shows it."""
    return {
        "id": order.id, "partner": order.partner, "state": order.state,
        "currency": order.currency,
        "amount": minor_text(order.amount_minor, order.currency),
        "refunded": minor_text(order.refunded_minor, order.currency),
        "created_at": rfc3339(order.created_at_ms), "expires_at": rfc3339(order.expires_at_ms),
        "paid_at": rfc3339_or_none(order.paid_at_ms),
        "page": order.page,
    }
