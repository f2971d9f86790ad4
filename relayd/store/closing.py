"""What a month came to, from the rollups and the ledger, for the invoices that say so; and which
months were closed."""

from __future__ import annotations

from collections import defaultdict
from typing import Final, NamedTuple

from relayd.core.invoice import ClosedMonth, Line, Period
from relayd.store.invoice import OF_CAUSE
from relayd.store.rollup import NOBODY
from relayd.store.transaction import Transaction

_USED: Final = (
    "SELECT currency, model, SUM(amount_nano), SUM(calls), SUM(input_tokens), SUM(output_tokens)"
    " FROM rollups WHERE account_id = ? AND hour_ms >= ? AND hour_ms < ?"
    " GROUP BY currency, model ORDER BY currency, model")
# what a holder gives is below zero in the ledger, and a line above zero
_FEES: Final = (
    "SELECT l.currency, CASE t.kind WHEN 'subscription' THEN 'fee' ELSE 'proration' END,"
    " CAST(t.number AS TEXT), -e.amount_nano FROM ledger_accounts AS l"
    " JOIN entries AS e ON e.ledger_account = l.number"
    " JOIN transfers AS t ON t.number = e.transfer"
    " WHERE l.owner = ? AND l.kind = 'balance' AND t.kind IN ('subscription', 'proration')"
    " AND t.at_ms >= ? AND t.at_ms < ? ORDER BY t.number")
_CREDITS: Final = (
    "SELECT l.currency, SUM(e.amount_nano) FROM ledger_accounts AS l"
    " JOIN entries AS e ON e.ledger_account = l.number"
    " JOIN transfers AS t ON t.number = e.transfer"
    " WHERE l.owner = ? AND l.kind = 'promo' AND t.kind = 'charge'"
    " AND t.at_ms >= ? AND t.at_ms < ? GROUP BY l.currency")
_RECEIPT: Final = OF_CAUSE.format("payment.cause")
_REFUND_S: Final = OF_CAUSE.format("('refund:' || r.id)")
_PAID: Final = (
    "SELECT 'order:' || id AS cause, account_id, currency, amount_minor, paid_at_ms FROM orders"
    " WHERE (paid_at_ms, id) > (?, ?) AND paid_at_ms < ?"
    " AND state NOT IN ('created', 'pending', 'paid', 'expired', 'failed')"
    " ORDER BY paid_at_ms, id")
_PAID_BACK: Final = (
    "SELECT 'refund:' || r.id AS cause, o.account_id, o.currency, -r.amount_minor, r.ended_at_ms"
    " FROM refunds AS r JOIN orders AS o ON o.id = r.order_id"
    " WHERE r.state = 'done' AND (r.ended_at_ms, r.id) > (?, ?) AND r.ended_at_ms < ?"
    " ORDER BY r.ended_at_ms, r.id")
_MONTHS: Final = "SELECT start_ms, closed_ms, invoices, receipts FROM closed_months"


class Payment(NamedTuple):
    """Money that came in, or went back: what a receipt is about."""

    cause: str
    account: str
    currency: str
    minor: int
    at_ms: int


class Place(NamedTuple):
    """A place in the order of payments."""

    at_ms: int
    cause: str


START: Final = Place(-1, "")
"""Before all payments."""


async def accounts(transaction: Transaction, period: Period, after: str, most: int) -> list[str]:
    """Accounts with anything in a period, after this id."""
    rows = await transaction.rows(
        "SELECT id FROM accounts AS a WHERE id > ?3 AND (EXISTS (SELECT 1 FROM rollups"
        " WHERE account_id = a.id AND hour_ms >= ?1 AND hour_ms < ?2) OR EXISTS (SELECT 1"
        " FROM ledger_accounts AS l JOIN entries AS e ON e.ledger_account = l.number"
        " JOIN transfers AS t ON t.number = e.transfer WHERE l.owner = a.id"
        " AND t.kind IN ('subscription', 'proration', 'charge')"
        " AND t.at_ms >= ?1 AND t.at_ms < ?2)) ORDER BY id LIMIT ?4",
        (*period, after, most))
    return [row[0] for row in rows]


async def lines(transaction: Transaction, account: str, period: Period) -> dict[str, list[Line]]:
    """Everything that an invoice of the period says, by currency."""
    found: defaultdict[str, list[Line]] = defaultdict(list)
    assert account != NOBODY
    for currency, model, *values in await transaction.rows(_USED, (account, *period)):
        found[currency].append(Line("use", model, *values))
    for currency, kind, reference, nano in await transaction.rows(_FEES, (account, *period)):
        found[currency].append(Line(kind, reference, nano))
    for currency, nano in await transaction.rows(_CREDITS, (account, *period)):
        found[currency].append(Line("credit", "", nano))
    return dict(found)


async def payments(
    transaction: Transaction, period: Period, after: Place, most: int
) -> list[Payment]:
    """Payments and refunds of a period for which no receipt stands, oldest first: those behind a
    place in that order."""
    kind, _, last = after.cause.partition(":")
    found: list[Payment] = []
    for sql, prefix in ((_PAID, "order"), (_PAID_BACK, "refund")):
        # of the same moment orders come before refunds
        behind = last if kind == prefix else "~" if kind > prefix else ""
        found += [Payment(*row) for row in await transaction.rows(
            f"SELECT * FROM ({sql}) AS payment"
            f" WHERE NOT EXISTS (SELECT 1 FROM invoices WHERE {_RECEIPT} AND state <> 'void')"
            " LIMIT ?", (max(after.at_ms, period.start_ms), behind, period.end_ms, most))]
    return sorted(found, key=lambda each: (each.at_ms, each.cause))[:most]


async def bounced(transaction: Transaction, most: int) -> list[str]:
    """Receipts that stand for refunds which came back after they had left."""
    rows = await transaction.rows(
        "SELECT invoices.id FROM refunds AS r JOIN invoices ON"
        f" {_REFUND_S} AND invoices.state <> 'void'"
        " WHERE r.state = 'failed' LIMIT ?", (most,))
    return [row[0] for row in rows]


async def payment(transaction: Transaction, order_id: str) -> Payment | None:
    """The payment of an order that was credited, or None."""
    row = await transaction.row(
        "SELECT 'order:' || id, account_id, currency, amount_minor, paid_at_ms FROM orders"
        " WHERE id = ? AND paid_at_ms IS NOT NULL"
        " AND state NOT IN ('created', 'pending', 'paid', 'expired', 'failed')", (order_id,))
    return None if row is None else Payment(*row)


async def begin(transaction: Transaction, start_ms: int, now_ms: int) -> None:
    """Note that somebody closes this month; nothing where that is noted."""
    await transaction.run(
        "INSERT INTO closed_months (start_ms, begun_ms) VALUES (?, ?)"
        " ON CONFLICT (start_ms) DO NOTHING", (start_ms, now_ms))


async def count(
    transaction: Transaction, start_ms: int, *, invoices: int = 0, receipts: int = 0
) -> None:
    """Add what this transaction issues for a month that was begun."""
    if invoices or receipts:
        await transaction.run(
            "UPDATE closed_months SET invoices = invoices + ?, receipts = receipts + ?"
            " WHERE start_ms = ?", (invoices, receipts, start_ms))


async def end(transaction: Transaction, start_ms: int, now_ms: int) -> bool:
    """Note that a month is closed; whether it was not so before."""
    return bool(await transaction.run(
        "UPDATE closed_months SET closed_ms = ? WHERE start_ms = ? AND closed_ms IS NULL",
        (now_ms, start_ms)))


async def month(transaction: Transaction, start_ms: int) -> ClosedMonth:
    """A month that was begun."""
    row = await transaction.row(f"{_MONTHS} WHERE start_ms = ?", (start_ms,))
    assert row is not None, "it was begun"
    return ClosedMonth(*row)


async def months(transaction: Transaction, most: int) -> list[ClosedMonth]:
    """Months that were begun or closed, the newest first."""
    rows = await transaction.rows(f"{_MONTHS} ORDER BY start_ms DESC LIMIT ?", (most,))
    return [ClosedMonth(*row) for row in rows]
