"""Invoices and receipts as rows. Who buys is sealed under the key of the year in which it all
ends; nothing of a row but its state ever changes (migration 0015).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from relayd.core.errors import RelayError
from relayd.core.invoice import (
    Invoice, InvoiceKind, InvoiceState, Line, LineKind, Period, parse_number,
)
from relayd.core.retention import year_of
from relayd.core.vat import Taxed, Vat
from relayd.core.vault import owner
from relayd.store.transaction import Row, Transaction

_TABLE: Final = "invoices"
_COLUMNS: Final = (
    "id", "series", "year", "sequence", "account_id", "kind", "state", "currency",
    "period_start_ms", "period_end_ms", "issued_at_ms", "until_ms", "vault_year", "amount_nano",
    "net_minor", "tax_minor", "total_minor", "vat_rate", "vat_inclusive", "lines", "reverses",
    "cause", "seller", "buyer")
_SELECT: Final = f"SELECT {', '.join(_COLUMNS)} FROM invoices"
_LINE: Final = "kind, reference, amount_nano, calls, input_tokens, output_tokens"
OF_CAUSE: Final = (
    "(invoices.cause = {0} OR invoices.cause > {0} || ':' AND invoices.cause < {0} || ';')")
"""SQL that is true for documents of a cause: the first, and those behind void ones."""
ENDED: Final = "invoices_ended_ms"
"""The counter that says what is past its term: rows before it alone can be deleted."""


@dataclass(frozen=True, slots=True)
class InvoiceFilter:
    """Which documents: of an account, a kind, a month's start; `before`: older than this id."""

    account: str | None = None
    kind: InvoiceKind | None = None
    period_start_ms: int | None = None
    before: str | None = None

    def conditions(self) -> tuple[str, list[Any]]:
        """SQL that is true for them, and its values."""
        parts, values = ["TRUE"], []
        for condition, value in (
                ("account_id = ?", self.account), ("kind = ?", self.kind),
                ("period_start_ms = ?", self.period_start_ms), ("id < ?", self.before)):
            if value is not None:
                parts.append(condition)
                values.append(value)
        return " AND ".join(parts), values


async def next_sequence(transaction: Transaction, series: str, year: int) -> int:
    """The number that comes next: the store has one writer, so it is nobody else's."""
    row = await transaction.row(
        "SELECT MAX(sequence) FROM invoices WHERE series = ? AND year = ?", (series, year))
    return 1 + int((row and row[0]) or 0)


async def insert(transaction: Transaction, invoice: Invoice) -> Invoice:
    """Add a document under the next number of its series and year; the document as it is then."""
    year = year_of(invoice.issued_at_ms)
    numbered = replace(invoice, year=year, sequence=await next_sequence(
        transaction, invoice.series, year))
    sealed_by = owner(invoice.until_ms)
    await transaction.sealer.keyring.make(sealed_by)
    text = orjson.dumps(dict(invoice.buyer), option=orjson.OPT_SORT_KEYS).decode()
    await transaction.run(
        f"INSERT INTO invoices ({', '.join(_COLUMNS)})"
        f" VALUES ({', '.join('?' * len(_COLUMNS))})",
        (numbered.id, numbered.series, numbered.year, numbered.sequence, numbered.account,
         numbered.kind, numbered.state, numbered.currency, *numbered.period,
         numbered.issued_at_ms, numbered.until_ms, int(sealed_by.partition(":")[2]),
         numbered.amount_nano, *numbered.taxed, numbered.vat.rate, int(numbered.vat.inclusive),
         len(numbered.lines), numbered.reverses, numbered.cause,
         orjson.dumps(dict(numbered.seller), option=orjson.OPT_SORT_KEYS).decode(),
         transaction.seal(sealed_by, _TABLE, "buyer", numbered.id, text)))
    await transaction.many(
        f"INSERT INTO invoice_lines (invoice_id, position, {_LINE})"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [(numbered.id, position, *line) for position, line in enumerate(numbered.lines)])
    return numbered


def _invoice(transaction: Transaction, row: Row, lines: Iterable[Line]) -> Invoice:
    found = dict(zip(_COLUMNS, row, strict=True))
    buyer = transaction.unseal(
        f"vault:{found['vault_year']}", _TABLE, "buyer", found["id"], found["buyer"])
    return Invoice(
        id=found["id"], series=found["series"], year=found["year"], sequence=found["sequence"],
        account=found["account_id"], kind=found["kind"], state=found["state"],
        currency=found["currency"],
        period=Period(found["period_start_ms"], found["period_end_ms"]),
        issued_at_ms=found["issued_at_ms"], until_ms=found["until_ms"],
        amount_nano=found["amount_nano"],
        taxed=Taxed(found["net_minor"], found["tax_minor"], found["total_minor"]),
        vat=Vat(found["vat_rate"], bool(found["vat_inclusive"])), lines=tuple(lines),
        seller=orjson.loads(found["seller"]), buyer=orjson.loads(buyer or "{}"),
        reverses=found["reverses"], cause=found["cause"])


async def _lines(transaction: Transaction, invoice_id: str) -> list[Line]:
    rows = await transaction.rows(
        f"SELECT {_LINE} FROM invoice_lines WHERE invoice_id = ? ORDER BY position",
        (invoice_id,))
    return [Line(*row) for row in rows]


async def get(transaction: Transaction, invoice_id: str) -> Invoice:
    """The document with this id or printed number. Raises `invoice_not_found`."""
    row = await transaction.row(f"{_SELECT} WHERE id = ?", (invoice_id,))
    printed = parse_number(invoice_id)
    if row is None and printed is not None:
        row = await transaction.row(
            f"{_SELECT} WHERE series = ? AND year = ? AND sequence = ?", printed)
    if row is None:
        raise RelayError("invoice_not_found", param="invoice")
    return _invoice(transaction, row, await _lines(transaction, row[0]))


async def listing(
    transaction: Transaction, wanted: InvoiceFilter, most: int
) -> list[Invoice]:
    """The newest of the wanted documents, without their lines."""
    condition, values = wanted.conditions()
    rows = await transaction.rows(
        f"{_SELECT} WHERE {condition} ORDER BY id DESC LIMIT ?", (*values, most))
    return [_invoice(transaction, row, ()) for row in rows]


async def set_state(transaction: Transaction, invoice_id: str, state: InvoiceState) -> None:
    """Write the state: all that ever changes."""
    await transaction.run("UPDATE invoices SET state = ? WHERE id = ?", (state, invoice_id))


async def by_cause(transaction: Transaction, cause: str) -> str | None:
    """The id of the document that was made for this and stands."""
    row = await transaction.row(
        f"SELECT id FROM invoices WHERE {OF_CAUSE} AND state <> 'void'".format("?1"), (cause,))
    return None if row is None else str(row[0])


async def next_cause(transaction: Transaction, cause: str) -> str:
    """The cause itself; with a number where it had a document that was made void."""
    row = await transaction.row(
        f"SELECT COUNT(*) FROM invoices WHERE {OF_CAUSE}".format("?1"), (cause,))
    assert row is not None
    return cause if not row[0] else f"{cause}:{row[0] + 1}"


async def said(
    transaction: Transaction, account: str, start_ms: int
) -> dict[str, dict[tuple[LineKind, str], Line]]:
    """What an account's documents say of the month that starts then, by currency: counter-invoices
    take away what they took back."""
    rows = await transaction.rows(
        "SELECT i.currency, l.kind, l.reference, SUM(l.amount_nano), SUM(l.calls),"
        " SUM(l.input_tokens), SUM(l.output_tokens) FROM invoices AS i"
        " JOIN invoice_lines AS l ON l.invoice_id = i.id"
        " WHERE i.period_start_ms = ? AND i.account_id = ? AND i.series = 'INV'"
        " GROUP BY 1, 2, 3", (start_ms, account))
    found: dict[str, dict[tuple[LineKind, str], Line]] = {}
    for currency, *values in rows:
        line = Line(*values)
        found.setdefault(currency, {})[line.key] = line
    return found


async def gaps(transaction: Transaction) -> list[tuple[str, int, int, int]]:
    """(series, year, highest number, how many) where those two differ: none, or a defect."""
    rows = await transaction.rows(
        "SELECT series, year, MAX(sequence), COUNT(*) FROM invoices GROUP BY series, year"
        " HAVING MAX(sequence) <> COUNT(*) AND MIN(sequence) = 1")
    return [(row[0], row[1], row[2], row[3]) for row in rows]


async def delete_before(transaction: Transaction, now_ms: int, most: int) -> int:
    """Delete documents that are past their term, `most` at most; returns how many."""
    await transaction.run(
        "UPDATE counters SET value = MAX(value, ?) WHERE name = ?", (now_ms, ENDED))
    rows = await transaction.rows(
        "SELECT id FROM invoices AS i WHERE until_ms <= ?1 AND NOT EXISTS (SELECT 1 FROM invoices"
        " AS other WHERE other.reverses = i.id AND other.until_ms > ?1) ORDER BY"
        " reverses IS NULL, until_ms LIMIT ?2", (now_ms, most))
    for (invoice_id,) in rows:
        await transaction.run("DELETE FROM invoice_lines WHERE invoice_id = ?", (invoice_id,))
        await transaction.run("DELETE FROM invoices WHERE id = ?", (invoice_id,))
    return len(rows)
