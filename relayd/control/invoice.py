"""Invoices and receipts: issue one, look at them, take one back, let them end.

Law: a document gets its number in the transaction that writes it, so a crash leaves neither a gap
nor a number that is given twice. Whoever is not its holder opens one with an event in the log.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from relayd.control import audit, conflict, enterprise, mail
from relayd.core.actor import SYSTEM, Actor
from relayd.core.currency import to_nano
from relayd.core.errors import RelayError
from relayd.core.invoice import (
    Invoice, InvoiceKind, Line, Period, Series, advance, countered, month, month_text, summed,
)
from relayd.core.operator import Operator
from relayd.core.posting import LedgerAccount
from relayd.core.retention import Terms
from relayd.core.timestamp import rfc3339
from relayd.core.ulid import RANDOM_BYTES, ulid
from relayd.core.vat import NO_VAT, Vat
from relayd.ops.config import Config
from relayd.ops.configfile_mail import console_url
from relayd.store import account as store_account
from relayd.store import closing as store_closing
from relayd.store import invoice as store_invoice
from relayd.store import order as store_order
from relayd.store import posting as store_posting
from relayd.store.closing import Payment
from relayd.store.db import Database
from relayd.store.invoice import InvoiceFilter
from relayd.store.transaction import Transaction

PREFIX: Final = "inv_"
LISTED_MAX: Final = 500
_TOLD: Final = frozenset({"active", "suspended"})


@dataclass(frozen=True, slots=True)
class Seller:
    """Who issues, at which tax, and for how long documents are kept. `origin`: of the console,
    for links in mails; without one nobody is written to."""

    operator: Operator
    vat: Vat = NO_VAT
    terms: Terms = Terms()
    origin: str = ""

    def block(self) -> dict[str, str]:
        """What a document says of the operator, in both languages."""
        return {name: value for name in (
            "name", "name_zh", "address", "address_zh", "uscc", "billing", "contact", "service")
            if (value := str(getattr(self.operator, name)))}


def seller_of(config: Config) -> Seller:
    """Who issues, as the configuration has it."""
    return Seller(config.operator, config.invoices.vat, config.retention.terms(),
                  console_url(config.console, config.console_listen))


@dataclass(frozen=True, slots=True)
class Draft:
    """A document before it has a number."""

    account: str
    kind: InvoiceKind
    currency: str
    period: Period
    lines: Sequence[Line]
    cause: str | None = None


async def tell(
    transaction: Transaction, seller: Seller, account_id: str, kind: str,
    fields: dict[str, str], now_ms: int,
) -> None:
    """Write to a holder, where there is an address and a console to link to."""
    account = await store_account.readable(transaction, account_id)
    if seller.origin and account is not None and account.email and account.state in _TOLD:
        await mail.post(transaction, kind, account_id, fields, now_ms)


async def issue(
    transaction: Transaction, seller: Seller, draft: Draft, now_ms: int,
) -> Invoice:
    """Write a document under the next number.

    A month's is paid where the balance covers it, as prepaid use does; a receipt always is.
    """
    series: Series = "REC" if draft.kind == "receipt" else "INV"
    vat = NO_VAT if draft.kind == "receipt" else seller.vat
    amount_nano, parts = summed(draft.lines, draft.currency, vat)
    has = await store_posting.balance(
        transaction, LedgerAccount("balance", draft.account, draft.currency))
    return await store_invoice.insert(transaction, Invoice(
        id=PREFIX + ulid(now_ms, secrets.token_bytes(RANDOM_BYTES)), series=series, year=0,
        sequence=0, account=draft.account, kind=draft.kind,
        state="paid" if draft.kind == "receipt" or has >= 0 else "open",
        currency=draft.currency, period=draft.period, issued_at_ms=now_ms,
        until_ms=now_ms + seller.terms.ms("invoices"), amount_nano=amount_nano, taxed=parts,
        vat=vat, lines=tuple(draft.lines), seller=seller.block(),
        buyer=await enterprise.buyer(transaction, draft.account), cause=draft.cause))


async def receipt(
    transaction: Transaction, seller: Seller, payment: Payment, now_ms: int
) -> Invoice:
    """The receipt for money that came in, or that went back; again, where one was made void."""
    line = Line("top_up" if payment.minor > 0 else "refund", payment.cause.partition(":")[2],
                to_nano(payment.minor, payment.currency))
    return await issue(transaction, seller, Draft(
        payment.account, "receipt", payment.currency, month(month_text(payment.at_ms)), [line],
        await store_invoice.next_cause(transaction, payment.cause)), now_ms)


async def receipt_of(
    db: Database, seller: Seller, account: str, order_id: str, now_ms: int,
) -> Invoice:
    """An account's receipt for an order; issued now, where there is none yet.

    Raises `order_not_found`; `order_state` for an order that was not paid.
    """
    async with db.writing() as transaction:
        if (await store_order.get(transaction, order_id)).account != account:
            raise RelayError("order_not_found", param="order")
        found = await store_invoice.by_cause(transaction, f"order:{order_id}")
        if found is not None:
            return await store_invoice.get(transaction, found)
        payment = await store_closing.payment(transaction, order_id)
        if payment is None:
            raise RelayError("order_state", param="order")
        return await receipt(transaction, seller, payment, now_ms)


async def own(db: Database, account: str, invoice_id: str) -> Invoice:
    """A document of one's own. Raises `invoice_not_found`, for anybody else's as well."""
    async with db.reading() as transaction:
        found = await store_invoice.get(transaction, invoice_id)
    if found.account != account:
        raise RelayError("invoice_not_found", param="invoice")
    return found


async def look(db: Database, actor: Actor, invoice_id: str, now_ms: int) -> Invoice:
    """Anybody's document, for who minds the money; the look is in the log."""
    async with db.writing() as transaction:
        found = await store_invoice.get(transaction, invoice_id)
        await audit.append(transaction, actor, "invoice.look", found.account, now_ms,
                           details={"invoice": found.id})
    return found


async def listing(db: Database, wanted: InvoiceFilter, most: int = LISTED_MAX) -> list[Invoice]:
    """The newest of the wanted documents, without their lines."""
    async with db.reading() as transaction:
        return await store_invoice.listing(transaction, wanted, min(most, LISTED_MAX))


async def void(
    db: Database, actor: Actor, invoice_id: str, reason: str, terms: Terms, now_ms: int,
) -> Invoice:
    """Take a document back by a counter-invoice, which is returned.

    What a void invoice said is missing again: closing its month anew says it anew. Raises
    `invoice_not_found`, `invoice_state`, `reason_missing`, `own_account`.
    """
    async with db.reading() as transaction:
        whose = (await store_invoice.get(transaction, invoice_id)).account
    await conflict.judge_own(db, actor, whose, "invoice.void", now_ms)
    async with db.writing() as transaction:
        return await take_back(transaction, actor, invoice_id, reason, terms, now_ms)


async def take_back(
    transaction: Transaction, actor: Actor, invoice_id: str, reason: str, terms: Terms,
    now_ms: int,
) -> Invoice:
    """The same in a transaction, whoever's it is."""
    found = await store_invoice.get(transaction, invoice_id)
    counter = await store_invoice.insert(transaction, countered(
        found, PREFIX + ulid(now_ms, secrets.token_bytes(RANDOM_BYTES)), now_ms,
        now_ms + terms.ms("invoices")))
    await store_invoice.set_state(transaction, found.id, advance(found.state, "void"))
    await audit.append(transaction, actor, "invoice.void", found.account, now_ms,
                       reason=reason, details={"invoice": found.id, "by": counter.id})
    return counter


async def settle(
    db: Database, actor: Actor, invoice_id: str, now_ms: int, *, paid: bool = True,
) -> Invoice:
    """Note that an open invoice was paid, or that it never will be. Raises `invoice_state`."""
    async with db.writing() as transaction:
        found = await store_invoice.get(transaction, invoice_id)
        state = advance(found.state, "pay" if paid else "write_off")
        await store_invoice.set_state(transaction, found.id, state)
        await audit.append(transaction, actor, "invoice.settle", found.account, now_ms,
                           details={"invoice": found.id, "state": state})
        return await store_invoice.get(transaction, found.id)


async def statement(db: Database, account: str, period: Period) -> dict[str, list[Line]]:
    """What a period of an account came to so far, by currency; nothing is issued.

    Beside others a currency in which nothing was spent is left out, as no invoice is made of it:
    calls that failed or have no price are in USD, whatever the prices are in.
    """
    async with db.reading() as transaction:
        found = await store_closing.lines(transaction, account, period)
    return {currency: lines for currency, lines in found.items()
            if any(line.amount_nano for line in lines)} or found


async def gaps(db: Database) -> list[tuple[str, int, int, int]]:
    """Series and years whose numbers are not all there: none, or a defect."""
    async with db.reading_long() as transaction:
        return await store_invoice.gaps(transaction)


async def sweep_batch(db: Database, now_ms: int, most: int) -> int:
    """Delete documents that are past their term; returns how many."""
    async with db.writing() as transaction:
        deleted = await store_invoice.delete_before(transaction, now_ms, most)
        if deleted:
            await audit.append(transaction, SYSTEM, "retention.sweep", None, now_ms,
                               details={"category": "invoices", "rows": deleted})
    return deleted


def view(found: Invoice, *, lines: bool = True) -> dict[str, object]:
    """A document as JSON shows it; amounts are minor units, those of lines nano-units."""
    shown: dict[str, object] = {
        "id": found.id, "number": found.number, "kind": found.kind, "state": found.state,
        "account": found.account, "currency": found.currency,
        "period_start": rfc3339(found.period.start_ms),
        "period_end": rfc3339(found.period.end_ms), "issued_at": rfc3339(found.issued_at_ms),
        "amount_nano": found.amount_nano, "net_minor": found.taxed.net,
        "tax_minor": found.taxed.tax, "total_minor": found.taxed.total, "places": found.places,
        "vat_rate": found.vat.rate, "vat_inclusive": found.vat.inclusive,
        "reverses": found.reverses,
    }
    if lines:
        shown |= {"seller": dict(found.seller), "buyer": dict(found.buyer),
                  "lines": [line._asdict() for line in found.lines]}
    return shown
