"""Call records as rows.

Law: a record is inserted once and never changed; posting it again does nothing. What makes a
record is its start and its id together: the rows are kept in that order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from typing import Any, Final

from msgspec.structs import astuple

from relayd.core.record import CallRecord
from relayd.store.transaction import BATCH_ROWS, Row, Transaction

# columns whose names differ from the record's fields, and why: `account` and `key` are references
_RENAMED: Final = {"account": "account_id", "key": "key_id"}
_COLUMNS: Final = tuple(_RENAMED.get(name, name) for name in CallRecord.__struct_fields__)
_NAMES: Final = ", ".join(_COLUMNS)
_MARKS: Final = f"({', '.join('?' * len(_COLUMNS))})"
# rows of one statement: a statement for each row costs a third more, and lets go of the
# interpreter's lock as often; 29 columns of 100 rows keep below the 32766 values of a statement
_ROWS_AT_ONCE: Final = 100
_IDS_AT_ONCE: Final = 500


def _insert_sql(rows: int) -> str:
    marks = ", ".join([_MARKS] * rows)
    return f"INSERT INTO call_records ({_NAMES}) VALUES {marks} ON CONFLICT DO NOTHING"


_INSERT_ONE: Final = _insert_sql(1)
_INSERT_MANY: Final = _insert_sql(_ROWS_AT_ONCE)
_identity: Final = attrgetter("started_at_ms", "id")


@dataclass(frozen=True, slots=True)
class CallFilter:
    """Which calls: of one account or all, started in [since_ms, until_ms)."""

    account: str | None = None
    since_ms: int = 0
    until_ms: int | None = None

    def conditions(self, time_column: str = "started_at_ms") -> tuple[str, list[Any]]:
        """SQL of a WHERE clause, and its values."""
        sql = f"{time_column} >= ?"
        values: list[Any] = [self.since_ms]
        if self.until_ms is not None:
            sql += f" AND {time_column} < ?"
            values.append(self.until_ms)
        if self.account is None:
            return sql, values
        return f"account_id = ? AND {sql}", [self.account, *values]


def _record(row: Row) -> CallRecord:
    fields = dict(zip(CallRecord.__struct_fields__, row, strict=True))
    fields["stream"] = bool(fields["stream"])
    return CallRecord(**fields)


async def _insert(transaction: Transaction, records: Sequence[CallRecord]) -> int:
    """Insert what is not there yet; returns how many that were."""
    rows = list(map(astuple, records))
    inserted = 0
    whole = len(rows) - len(rows) % _ROWS_AT_ONCE
    if whole:
        inserted += await transaction.many(_INSERT_MANY, [
            tuple(chain.from_iterable(rows[start:start + _ROWS_AT_ONCE]))
            for start in range(0, whole, _ROWS_AT_ONCE)
        ])
    if whole < len(rows):
        inserted += await transaction.many(_INSERT_ONE, rows[whole:])
    return inserted


async def _known(transaction: Transaction, identities: Sequence[tuple[int, str]]) -> set[Row]:
    found: set[Row] = set()
    for start in range(0, len(identities), _IDS_AT_ONCE):
        part = identities[start:start + _IDS_AT_ONCE]
        marks = ", ".join(["(?, ?)"] * len(part))
        found.update(await transaction.rows(
            "SELECT started_at_ms, id FROM call_records"
            f" WHERE (started_at_ms, id) IN (VALUES {marks})", list(chain.from_iterable(part)),
        ))
    return found


async def insert(
    transaction: Transaction, records: Sequence[CallRecord]
) -> Sequence[CallRecord]:
    """Insert the records that are not there yet, and return those.

    That some are there already is rare, and looking for them dear: so all are inserted, and only
    where fewer rows came of it is that undone and are the known ones looked for.
    """
    if not records:
        return []
    await transaction.run("SAVEPOINT records")
    if await _insert(transaction, records) == len(records):
        return records
    await transaction.run("ROLLBACK TO records")
    # of two with one identity the first counts
    by_identity: dict[tuple[int, str], CallRecord] = {}
    for record in records:
        by_identity.setdefault(_identity(record), record)
    known = await _known(transaction, list(by_identity))
    fresh = [record for identity, record in by_identity.items() if identity not in known]
    await _insert(transaction, fresh)
    return fresh


async def page(
    transaction: Transaction, wanted: CallFilter, after: CallRecord | None = None
) -> list[CallRecord]:
    """At most BATCH_ROWS calls in the order of their start, from behind `after`."""
    sql, values = wanted.conditions()
    if after is not None:
        sql += " AND (started_at_ms, id) > (?, ?)"
        values += [after.started_at_ms, after.id]
    rows = await transaction.rows(
        f"SELECT {_NAMES} FROM call_records WHERE {sql} ORDER BY started_at_ms, id"
        f" LIMIT {BATCH_ROWS}", values,
    )
    return [_record(row) for row in rows]
