"""Partners' statements as rows, and what the ledger has about the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from relayd.core.statement import DUE, Booked, Difference, Key, LineKind, StatementLine
from relayd.store.transaction import Transaction

# what the ledger has of each kind that is compared: (reference, currency, amount, when). A refund
# has left the partner also before it says that it arrived, and, where it failed, if a line says
# that it came back.
_REFUNDS: Final = (
    "SELECT refunds.id AS reference, currency, refunds.amount_minor AS minor, ended_at_ms AS at,"
    " partner FROM refunds JOIN orders ON orders.id = order_id")
_BOOKED: Final[dict[LineKind, str]] = {
    "payment": "SELECT orders.id AS reference, currency, amount_minor AS minor, paid_at_ms AS at,"
               " partner FROM orders WHERE paid_at_ms IS NOT NULL",
    "refund": f"{_REFUNDS} WHERE refunds.state <> 'failed' OR EXISTS ("
              "SELECT 1 FROM statement_lines AS back WHERE back.partner = orders.partner"
              " AND back.kind = 'refund_back' AND back.reference = refunds.id)",
    "refund_back": f"{_REFUNDS} WHERE refunds.state = 'failed'",
    "dispute": "SELECT disputes.id AS reference, currency, disputes.amount_minor AS minor,"
               " opened_at_ms AS at, partner FROM disputes JOIN orders ON orders.id = order_id",
    "dispute_won": "SELECT disputes.id AS reference, currency, disputes.amount_minor AS minor,"
                   " closed_at_ms AS at, partner FROM disputes"
                   " JOIN orders ON orders.id = order_id WHERE disputes.state = 'won'",
}


_DUE: Final[dict[LineKind, str]] = {
    "refund_back": " AND EXISTS (SELECT 1 FROM statement_lines AS sent WHERE sent.partner ="
                   " had.partner AND sent.kind = 'refund' AND sent.reference = had.reference)"}
"""What must be so, beside, that a line is missed: only what had left comes back."""


class Checked(NamedTuple):
    """A statement that was looked at."""

    partner: str
    day: str
    checked_at_ms: int
    lines: int


async def save(
    transaction: Transaction, checked: Checked, lines: Iterable[StatementLine]
) -> None:
    """Keep that a statement was looked at, and its lines; lines that are there stay."""
    await transaction.run(
        "INSERT INTO statements (partner, day, checked_at_ms, lines) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (partner, day) DO UPDATE SET checked_at_ms = excluded.checked_at_ms,"
        " lines = excluded.lines", checked)
    await transaction.many(
        "INSERT INTO statement_lines"
        " (partner, day, kind, reference, currency, amount_minor, fee_minor)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (partner, kind, reference) DO NOTHING",
        [(checked.partner, checked.day, *line) for line in lines])


async def listing(transaction: Transaction, most: int) -> list[Checked]:
    """The statements that were looked at, the latest days first."""
    rows = await transaction.rows(
        "SELECT partner, day, checked_at_ms, lines FROM statements"
        " ORDER BY day DESC, partner LIMIT ?", (most,))
    return [Checked(*row) for row in rows]


async def days(transaction: Transaction, partner: str, since: str) -> set[str]:
    """The days from this one on whose statement was looked at."""
    rows = await transaction.rows(
        "SELECT day FROM statements WHERE partner = ? AND day >= ?", (partner, since))
    return {row[0] for row in rows}


async def before(
    transaction: Transaction, partner: str, day: str, lines: Iterable[StatementLine]
) -> dict[Key, int]:
    """The amounts of lines about the same as these that another day's statement has."""
    found: dict[Key, int] = {}
    for kind, reference, *_ in lines:
        row = await transaction.row(
            "SELECT amount_minor FROM statement_lines WHERE partner = ? AND kind = ?"
            " AND reference = ? AND day <> ?", (partner, kind, reference, day))
        if row is not None:
            found[kind, reference] = row[0]
    return found


async def booked(
    transaction: Transaction, partner: str, lines: Iterable[StatementLine]
) -> dict[Key, Booked]:
    """What the ledger has about these lines."""
    found: dict[Key, Booked] = {}
    for line in lines:
        if line.kind not in _BOOKED:
            continue
        row = await transaction.row(
            f"SELECT currency, minor FROM ({_BOOKED[line.kind]})"
            " WHERE reference = ? AND partner = ?", (line.reference, partner))
        if row is not None:
            found[line.kind, line.reference] = Booked(*row)
    return found


async def due(
    transaction: Transaction, partner: str, start_ms: int, end_ms: int
) -> dict[Key, Booked]:
    """What the ledger has of a time and no line was seen for."""
    found: dict[Key, Booked] = {}
    for kind in DUE:
        rows = await transaction.rows(
            f"SELECT reference, currency, minor FROM ({_BOOKED[kind]}) AS had"
            " WHERE partner = ? AND at >= ? AND at < ? AND NOT EXISTS ("
            " SELECT 1 FROM statement_lines AS line WHERE line.partner = had.partner"
            f" AND line.kind = ? AND line.reference = had.reference){_DUE.get(kind, '')}",
            (partner, start_ms, end_ms, kind))
        found.update({(kind, row[0]): Booked(row[1], row[2]) for row in rows})
    return found


async def set_differences(
    transaction: Transaction, partner: str, day: str, lines: Iterable[StatementLine],
    found: Iterable[Difference],
) -> None:
    """Replace what differed on a day or about its lines: one that fits now differs no more."""
    await transaction.run(
        "DELETE FROM statement_differences WHERE partner = ? AND day = ?", (partner, day))
    await transaction.many(
        "DELETE FROM statement_differences WHERE partner = ? AND kind = ? AND reference = ?",
        [(partner, line.kind, line.reference) for line in lines])
    await transaction.many(
        "INSERT INTO statement_differences"
        " (partner, day, kind, reference, what, statement_minor, ledger_minor)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (partner, kind, reference) DO UPDATE SET"
        " day = excluded.day, what = excluded.what, ledger_minor = excluded.ledger_minor,"
        " statement_minor = excluded.statement_minor",
        [(partner, day, *each) for each in found])


async def differences(
    transaction: Transaction, most: int
) -> list[tuple[str, str, Difference]]:
    """(partner, day, what differs), the latest days first."""
    rows = await transaction.rows(
        "SELECT partner, day, kind, reference, what, statement_minor, ledger_minor"
        " FROM statement_differences ORDER BY day DESC, partner, kind, reference LIMIT ?",
        (most,))
    return [(row[0], row[1], Difference(*row[2:])) for row in rows]
