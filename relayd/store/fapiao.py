"""Fapiao as rows. Buyers and files are sealed under the key of the year in which they end."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from relayd.core.errors import RelayError
from relayd.core.fapiao import HOLDING, Fapiao, FapiaoState, FileFormat, Share
from relayd.core.vault import owner
from relayd.core.vat import Taxed
from relayd.store.transaction import Row, Transaction

_TABLE: Final = "fapiao"
_FILES: Final = "fapiao_files"
_COLUMNS: Final = (
    "id", "account_id", "kind", "state", "amount_minor", "tax_minor", "vat_rate", "created_at_ms",
    "until_ms", "vault_year", "reason", "reverses", "confirmation", "number", "issued_on", "buyer")
_SELECT: Final = f"SELECT {', '.join(_COLUMNS)} FROM fapiao"
_CHANGING: Final = ("state", "reason", "confirmation", "number", "issued_on")
_HELD: Final = ", ".join(f"'{state}'" for state in sorted(HOLDING))
# what a blue one holds counts at once; what a red one gives back, when it is issued
_COUNTS: Final = (
    f"f.state IN ({_HELD}) AND (f.amount_minor > 0 OR f.state = 'red_issued')")


@dataclass(frozen=True, slots=True)
class FapiaoFilter:
    """Which ones: of an account, in these states, the red ones of a blue one, older than an id."""

    account: str | None = None
    states: tuple[FapiaoState, ...] = ()
    reverses: str | None = None
    before: str | None = None

    def conditions(self) -> tuple[str, list[Any]]:
        """SQL that is true for them, and its values."""
        sql, values = ["TRUE"], []
        for condition, value in (("account_id = ?", self.account),
                                 ("reverses = ?", self.reverses), ("id < ?", self.before)):
            if value is not None:
                sql.append(condition)
                values.append(value)
        if self.states:
            sql.append(f"state IN ({', '.join('?' * len(self.states))})")
            values += self.states
        return " AND ".join(sql), values


async def insert(transaction: Transaction, made: Fapiao) -> None:
    """Add one with its orders."""
    sealed_by = owner(made.until_ms)
    await transaction.sealer.keyring.make(sealed_by)
    text = orjson.dumps(dict(made.buyer), option=orjson.OPT_SORT_KEYS).decode()
    await transaction.run(
        f"INSERT INTO fapiao ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})",
        (made.id, made.account, made.kind, made.state, made.amount_minor, made.tax_minor,
         made.vat_rate, made.created_at_ms, made.until_ms, _year(sealed_by), made.reason,
         made.reverses, made.confirmation, made.number, made.issued_on,
         transaction.seal(sealed_by, _TABLE, "buyer", made.id, text)))
    await transaction.many(
        "INSERT INTO fapiao_orders (fapiao_id, order_id, amount_minor) VALUES (?, ?, ?)",
        [(made.id, *share) for share in made.shares])


def _year(sealed_by: str) -> int:
    return int(sealed_by.partition(":")[2])


async def update(transaction: Transaction, made: Fapiao) -> None:
    """Write what may change of the one with this id. `store_refused`: its number is another's."""
    await transaction.run(
        f"UPDATE fapiao SET {', '.join(f'{name} = ?' for name in _CHANGING)} WHERE id = ?",
        (*(getattr(made, name) for name in _CHANGING), made.id))


async def _fapiao(transaction: Transaction, row: Row) -> Fapiao:
    found = dict(zip(_COLUMNS, row, strict=True))
    year, account = found.pop("vault_year"), found.pop("account_id")
    buyer = transaction.unseal(
        f"vault:{year}", _TABLE, "buyer", found["id"], found.pop("buyer"))
    shares = await transaction.rows(
        "SELECT order_id, amount_minor FROM fapiao_orders WHERE fapiao_id = ? ORDER BY order_id",
        (found["id"],))
    return Fapiao(**found, account=account, shares=tuple(Share(*each) for each in shares),
                  buyer=orjson.loads(buyer or "{}"))


async def get(transaction: Transaction, fapiao_id: str) -> Fapiao:
    """The one with this id. Raises `fapiao_not_found`."""
    row = await transaction.row(f"{_SELECT} WHERE id = ?", (fapiao_id,))
    if row is None:
        raise RelayError("fapiao_not_found", param="fapiao")
    return await _fapiao(transaction, row)


async def listing(transaction: Transaction, wanted: FapiaoFilter, most: int) -> list[Fapiao]:
    """The newest of the wanted ones."""
    condition, values = wanted.conditions()
    rows = await transaction.rows(
        f"{_SELECT} WHERE {condition} ORDER BY id DESC LIMIT ?", (*values, most))
    return [await _fapiao(transaction, row) for row in rows]


async def left(transaction: Transaction, blue: Fapiao) -> Taxed:
    """What of a blue one no red one has taken back; those under way count."""
    row = await transaction.row(
        "SELECT COALESCE(SUM(amount_minor), 0), COALESCE(SUM(tax_minor), 0) FROM fapiao"
        " WHERE reverses = ? AND state <> 'red_refused'", (blue.id,))
    assert row is not None
    total, tax = blue.amount_minor + row[0], blue.tax_minor + row[1]
    return Taxed(total - tax, tax, total)


async def left_shares(transaction: Transaction, blue: Fapiao) -> tuple[Share, ...]:
    """The same by its orders."""
    rows = await transaction.rows(
        "SELECT o.order_id, SUM(o.amount_minor) FROM fapiao_orders AS o"
        " JOIN fapiao AS f ON f.id = o.fapiao_id"
        " WHERE f.id = ?1 OR (f.reverses = ?1 AND f.state <> 'red_refused')"
        " GROUP BY o.order_id ORDER BY o.order_id", (blue.id,))
    return tuple(Share(*row) for row in rows)


async def unreversed(transaction: Transaction, blue_id: str) -> int:
    """What of a blue one no issued red one has taken back: zero says that it is reversed."""
    row = await transaction.row(
        "SELECT SUM(amount_minor) FROM fapiao WHERE id = ?1"
        " OR (reverses = ?1 AND state = 'red_issued')", (blue_id,))
    return int((row and row[0]) or 0)


async def taken(transaction: Transaction, orders: Sequence[str]) -> dict[str, int]:
    """What fapiao have of these orders."""
    marks = ", ".join("?" * len(orders))
    rows = await transaction.rows(
        "SELECT o.order_id, SUM(o.amount_minor) FROM fapiao_orders AS o"
        f" JOIN fapiao AS f ON f.id = o.fapiao_id WHERE {_COUNTS} AND o.order_id IN ({marks})"
        " GROUP BY o.order_id", tuple(orders))
    return {row[0]: int(row[1]) for row in rows}


async def too_much(transaction: Transaction, most: int) -> list[tuple[str, str, int]]:
    """(order, account, fen) where fapiao have more than the order still is worth: to be taken
    back by red letters."""
    rows = await transaction.rows(
        "SELECT o.order_id, orders.account_id,"
        # what a dispute took stands in no refund
        " SUM(o.amount_minor) - MAX(0, orders.amount_minor - orders.refunded_minor"
        "  - COALESCE((SELECT SUM(amount_minor) FROM disputes AS d"
        "    WHERE d.order_id = o.order_id AND d.state = 'lost'), 0)) AS more"
        " FROM fapiao_orders AS o JOIN fapiao AS f ON f.id = o.fapiao_id"
        f" JOIN orders ON orders.id = o.order_id WHERE {_COUNTS}"
        " GROUP BY o.order_id HAVING more > 0 ORDER BY o.order_id LIMIT ?", (most,))
    return [(row[0], row[1], row[2]) for row in rows]


async def put_file(
    transaction: Transaction, made: Fapiao, kind: FileFormat, content: bytes, now_ms: int
) -> None:
    """Keep an issued file; another one of its format takes its place."""
    sealed_by = owner(made.until_ms)
    row = f"{made.id}/{kind}"
    text = base64.b64encode(content).decode("ascii")
    await transaction.run(
        "INSERT INTO fapiao_files (fapiao_id, format, stored_at_ms, content)"
        " VALUES (?, ?, ?, ?) ON CONFLICT (fapiao_id, format) DO UPDATE SET"
        " stored_at_ms = excluded.stored_at_ms, content = excluded.content",
        (made.id, kind, now_ms, transaction.seal(sealed_by, _FILES, "content", row, text)))


async def files(transaction: Transaction, made: Fapiao) -> dict[FileFormat, bytes]:
    """The issued files, by format."""
    rows = await transaction.rows(
        "SELECT format, content FROM fapiao_files WHERE fapiao_id = ? ORDER BY format",
        (made.id,))
    return {row[0]: base64.b64decode(transaction.unseal(
        owner(made.until_ms), _FILES, "content", f"{made.id}/{row[0]}", row[1]) or "")
        for row in rows}


async def delete_before(transaction: Transaction, now_ms: int, most: int) -> int:
    """Delete what is past its term, red ones before their blue ones; returns how many."""
    return await transaction.run(
        "DELETE FROM fapiao WHERE id IN (SELECT id FROM fapiao AS f WHERE until_ms <= ?1"
        " AND NOT EXISTS (SELECT 1 FROM fapiao AS red WHERE red.reverses = f.id)"
        " ORDER BY until_ms LIMIT ?2)", (now_ms, most))
