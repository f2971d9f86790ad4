"""Call records as rows.

Law: a record is inserted once and never changed; posting it again does nothing. Times to the first
byte and of the whole call are kept in whole microseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from relayd.core.record import CallRecord
from relayd.store.transaction import BATCH_ROWS, Row, Transaction

# columns whose names differ from the record's fields, and why: `account` and `key` are references
_RENAMED: Final = {
    "account": "account_id", "key": "key_id",
    "first_byte_ms": "first_byte_us", "duration_ms": "duration_us",
}
_COLUMNS: Final = tuple(_RENAMED.get(name, name) for name in CallRecord.__struct_fields__)
_NAMES: Final = ", ".join(_COLUMNS)
_INSERT: Final = (
    f"INSERT INTO call_records ({_NAMES}) VALUES ({', '.join('?' * len(_COLUMNS))})"
    " ON CONFLICT (id) DO NOTHING"
)
_IDS_AT_ONCE: Final = 500


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


def _us(ms: float | None) -> int | None:
    return None if ms is None else round(ms * 1000)


def _ms(us: int | None) -> float | None:
    return None if us is None else us / 1000


def _row(record: CallRecord) -> Row:
    values = msgspec.structs.astuple(record)
    return (*values[:-2], _us(values[-2]), _us(values[-1]))


def _record(row: Row) -> CallRecord:
    fields = dict(zip(CallRecord.__struct_fields__, row, strict=True))
    fields["stream"] = bool(fields["stream"])
    fields["first_byte_ms"] = _ms(fields["first_byte_ms"])
    fields["duration_ms"] = _ms(fields["duration_ms"])
    return CallRecord(**fields)


async def _known(transaction: Transaction, ids: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(ids), _IDS_AT_ONCE):
        part = ids[start:start + _IDS_AT_ONCE]
        marks = ", ".join("?" * len(part))
        rows = await transaction.rows(f"SELECT id FROM call_records WHERE id IN ({marks})", part)
        found.update(row[0] for row in rows)
    return found


async def insert(transaction: Transaction, records: Iterable[CallRecord]) -> list[CallRecord]:
    """Insert the records that are not there yet, and return those."""
    # of two with one id the first counts
    by_id: dict[str, CallRecord] = {}
    for record in records:
        by_id.setdefault(record.id, record)
    known = await _known(transaction, list(by_id))
    fresh = [record for record in by_id.values() if record.id not in known]
    if fresh:
        await transaction.many(_INSERT, [_row(record) for record in fresh])
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
