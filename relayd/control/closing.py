"""Closing a month: an invoice for each account and currency, a receipt for each payment.

Law: what is issued is what the month has and no standing document says. So a run that broke off is
taken up where it stopped, a second run issues nothing, a record that came late gets an invoice of
its own, and the lines of all documents together are the records, to the nano-unit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from relayd.control import invoice
from relayd.control.invoice import Draft, Seller
from relayd.core.errors import RelayError
from relayd.core.invoice import Invoice, Period, missing, month, month_text
from relayd.core.timestamp import HOUR_MS
from relayd.store import closing as store_closing
from relayd.store import invoice as store_invoice
from relayd.store.db import Database
from relayd.store.transaction import Transaction

AT_ONCE: Final = 10
"""Accounts, or payments, of one transaction: calls wait no longer than that for the store."""
SETTLED_MS: Final = HOUR_MS
"""How long after its end a month may be closed: records of its last calls have come by then."""


@dataclass(slots=True)
class Closed:
    """What a run issued so far."""

    month: str
    accounts: int = 0
    invoices: int = 0
    receipts: int = 0


def check_over(text: str, now_ms: int) -> Period:
    """The month of a text. Raises `invalid_time` where it is none; `month_open` where it is not
    over for an hour."""
    period = month(text)
    if now_ms < period.end_ms + SETTLED_MS:
        raise RelayError("month_open", param="month")
    return period


async def close(db: Database, seller: Seller, text: str, now_ms: int) -> Closed:
    """Issue everything that is missing for a month; see `steps`."""
    closed = Closed(text)
    async for closed in steps(db, seller, text, now_ms):
        pass
    return closed


async def steps(
    db: Database, seller: Seller, text: str, now_ms: int
) -> AsyncIterator[Closed]:
    """The same, batch by batch: what was issued so far, after each."""
    period = check_over(text, now_ms)
    if now_ms - period.end_ms >= seller.terms.ms("invoices"):
        # what was issued for it may be gone, and would be missing again
        raise RelayError("invalid_time", param="month")
    closed = Closed(month_text(period.start_ms))
    after = ""
    while True:
        async with db.writing() as transaction:
            batch = await store_closing.accounts(transaction, period, after, AT_ONCE)
            for account in batch:
                closed.invoices += len(await _account(transaction, seller, account, period,
                                                      now_ms))
            closed.accounts += len(batch)
        yield closed
        if len(batch) < AT_ONCE:
            break
        after = batch[-1]
    while True:
        async with db.writing() as transaction:
            payments = await store_closing.payments(transaction, period, AT_ONCE)
            for payment in payments:
                await invoice.receipt(transaction, seller, payment, now_ms)
            closed.receipts += len(payments)
        yield closed
        if len(payments) < AT_ONCE:
            break


async def _account(
    transaction: Transaction, seller: Seller, account: str, period: Period, now_ms: int,
) -> list[Invoice]:
    """What an account's month has and no document says, issued."""
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
