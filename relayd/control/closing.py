"""Closing a month: an invoice for each account and currency, a receipt for each payment.

Law: what is issued is what the month has and no standing document says. So a run that broke off is
taken up where it stopped, a second run issues nothing, a record that came late gets an invoice of
its own, and the lines of all documents together are the records, to the nano-unit. What a month
has got is counted in the transactions that issue it, and its closing is in the audit log.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final, NamedTuple

from relayd.control import audit, invoice, wallet
from relayd.control.invoice import Draft, Seller
from relayd.core.actor import Actor
from relayd.core.errors import RelayError
from relayd.core.invoice import (
    ClosedMonth, Invoice, Period, before, missing, month, month_text, months_due,
)
from relayd.core.timestamp import HOUR_MS
from relayd.store import closing as store_closing
from relayd.store import invoice as store_invoice
from relayd.store.closing import Place
from relayd.store.db import Database
from relayd.store.transaction import Transaction

AT_ONCE: Final = 10
"""Accounts, or payments, of one transaction: calls wait no longer than that for the store."""
SETTLED_MS: Final = HOUR_MS
"""How long after its end a month may be closed: records of its last calls have come by then."""
KNOWN_MAX: Final = 240
CAME_BACK: Final = "The refund came back."
"""Why a refund's receipt is taken back."""


@dataclass(slots=True)
class Closed:
    """What a run issued so far."""

    month: str
    accounts: int = 0
    invoices: int = 0
    receipts: int = 0


class Due(NamedTuple):
    """Months that want closing, the oldest first. `again`: the one that was closed before them,
    looked at once more and first, for what came late to it."""

    months: list[Period]
    again: list[Period]


def check_over(text: str, now_ms: int) -> Period:
    """The month of a text. Raises `invalid_time` where it is none; `month_open` where it is not
    over for an hour."""
    period = month(text)
    if now_ms < period.end_ms + SETTLED_MS:
        raise RelayError("month_open", param="month")
    return period


async def due(db: Database, now_ms: int, grace_ms: int) -> Due:
    """What wants closing, once its grace is over."""
    known = await months(db)
    wanted = months_due(known, now_ms, grace_ms)
    closed = {each.start_ms for each in known if each.closed_ms is not None}
    last = [before(each) for each in wanted[:1] if before(each).start_ms in closed]
    return Due(wanted, last)


async def months(db: Database, most: int = KNOWN_MAX) -> list[ClosedMonth]:
    """Months that were begun or closed, the newest first."""
    async with db.reading() as transaction:
        return await store_closing.months(transaction, min(most, KNOWN_MAX))


async def close(db: Database, actor: Actor, seller: Seller, text: str, now_ms: int) -> Closed:
    """Issue everything that is missing for a month; see `steps`."""
    closed = Closed(text)
    async for closed in steps(db, actor, seller, text, now_ms):
        pass
    return closed


async def steps(
    db: Database, actor: Actor, seller: Seller, text: str, now_ms: int
) -> AsyncGenerator[Closed, None]:
    """The same, batch by batch: what was issued so far, after each."""
    period = check_over(text, now_ms)
    if now_ms - period.end_ms >= seller.terms.ms("invoices"):
        # what was issued for it may be gone, and would be missing again
        raise RelayError("invalid_time", param="month")
    closed = Closed(month_text(period.start_ms))
    batch = [""]
    while batch:
        async with db.writing() as transaction:
            await store_closing.begin(transaction, period.start_ms, now_ms)
            batch = await store_closing.accounts(transaction, period, batch[-1], AT_ONCE)
            made = 0
            for account in batch:
                made += len(await _account(transaction, seller, account, period, now_ms))
            await store_closing.count(transaction, period.start_ms, invoices=made)
        closed.accounts += len(batch)
        closed.invoices += made
        yield closed
    place: Place | None = store_closing.START
    while place is not None:
        place = await _receipts(db, seller, closed, (period, place), now_ms)
        yield closed
    while await _bounced(db, actor, seller, now_ms):
        yield closed
    await _end(db, actor, closed, period, now_ms)


async def _receipts(
    db: Database, seller: Seller, closed: Closed, where: tuple[Period, Place], now_ms: int
) -> Place | None:
    """Receipts for the next payments without one, behind a place; the place to go on from, where
    there may be more."""
    period, place = where
    async with db.writing() as transaction:
        payments = await store_closing.payments(transaction, period, place, AT_ONCE)
        for payment in payments:
            await invoice.receipt(transaction, seller, payment, now_ms)
        await store_closing.count(transaction, period.start_ms, receipts=len(payments))
    closed.receipts += len(payments)
    return Place(payments[-1].at_ms, payments[-1].cause) if len(payments) == AT_ONCE else None


async def _bounced(db: Database, actor: Actor, seller: Seller, now_ms: int) -> bool:
    """Takes back receipts of refunds that came back, of whatever month; whether there were any."""
    async with db.writing() as transaction:
        found = await store_closing.bounced(transaction, AT_ONCE)
        for receipt in found:
            await invoice.take_back(transaction, actor, receipt, CAME_BACK, seller.terms, now_ms)
    return bool(found)


async def _end(db: Database, actor: Actor, closed: Closed, period: Period, now_ms: int) -> None:
    """The month is closed. A run that issues nothing for one that was is no event."""
    async with db.writing() as transaction:
        first = await store_closing.end(transaction, period.start_ms, now_ms)
        if first or closed.invoices or closed.receipts:
            has = await store_closing.month(transaction, period.start_ms)
            await audit.append(transaction, actor, "month.close", None, now_ms, details={
                "month": closed.month, "invoices": has.invoices, "receipts": has.receipts})


async def _account(
    transaction: Transaction, seller: Seller, account: str, period: Period, now_ms: int,
) -> list[Invoice]:
    """What an account's month has and no document says, issued. The ledger gets what its calls
    cost first: by the balance a document is paid or open."""
    await wallet.charge_account(transaction, account, now_ms)
    has = await store_closing.lines(transaction, account, period)
    said = await store_invoice.said(transaction, account, period.start_ms)
    made = []
    for currency, lines in sorted(has.items()):
        left = missing(lines, said.get(currency, {}))
        if any(line.amount_nano for line in left):
            issued = await invoice.issue(
                transaction, seller, Draft(account, "use", currency, period, left), now_ms)
            await invoice.tell(transaction, seller, account, "invoice_ready", {
                "invoice": issued.number,
                "link": f"{seller.origin}/invoices/{issued.id}"}, now_ms)
            made.append(issued)
    return made
