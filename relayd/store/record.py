"""Call records as rows.

Law: a record is inserted once and never changed, until its time is over; posting it again does
nothing. What makes a record is its start and its id together: the rows are kept in that order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from operator import attrgetter
from typing import Any, Final

from relayd.core.columns import Column, Columns, Places, in_one, in_parts, places
from relayd.core.record import PRICED_ONLY, CallRecord
from relayd.store.connection import Statement
from relayd.store.transaction import BATCH_ROWS, Row, Transaction

# columns whose names differ from the record's fields, and why: `account` and `key` are references
_RENAMED: Final = {"account": "account_id", "key": "key_id"}
_COLUMNS: Final = tuple(_RENAMED.get(name, name) for name in CallRecord.__struct_fields__)
NAMES: Final = ", ".join(_COLUMNS)
"""Every column of a record, in the order that `record_of` takes."""
# Fields of which neighbours often have the same values, by what they depend on.
_KINDS: Final = tuple(places(*names) for names in (
    ("account", "key", "app"),
    ("api", "endpoint"),
    ("stream",),
    ("model", "provider", "provider_model", "currency"),
    ("status", "outcome", "error", "attempts"),
    ("counted_input_tokens", "counted_output_tokens", "usage_source"),
    PRICED_ONLY,
))
# A statement for each row costs more, and lets go of the interpreter's lock as often.
# One of 100 rows takes 270 KB of memory, and twice as long one would be 6 % faster.
_ROWS_AT_ONCE: Final = (100, 20)
_IDS_AT_ONCE: Final = 500
_identity: Final = attrgetter("started_at_ms", "id")

Identity = tuple[int, str]
"""What makes a call's record: its start and its id."""


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


def record_of(row: Row) -> CallRecord:
    """The record of a row of all `NAMES`."""
    fields = dict(zip(CallRecord.__struct_fields__, row, strict=True))
    fields["stream"] = bool(fields["stream"])
    return CallRecord(**fields)


@lru_cache(maxsize=257)
def _insert_sql(rows: int, shared: Places) -> str:
    """Inserts rows: first the values that all of them share, then row by row the others.

    For each size there are 2 to the power of the kinds, 128, and one for a single row.
    """
    others = [place for place in range(len(_COLUMNS)) if place not in shared]
    names = ", ".join(_COLUMNS[place] for place in (*shared, *others))
    marks = ", ".join([*(f"?{n}" for n in range(1, len(shared) + 1)), *"?" * len(others)])
    values = ", ".join([f"({marks})"] * rows)
    return f"INSERT INTO call_records ({names}) VALUES {values} ON CONFLICT DO NOTHING"


def _shared(part: Columns) -> Places:
    """Fields in which all these records are the same.

    To hand sqlite3 a text or a None costs more than to store it, so a kind of fields in which all
    rows are the same is handed over once.
    """
    return tuple([place for kind in _KINDS if part.alike(kind) for place in kind])


def _together(once: Row, columns: Sequence[Column]) -> list[Any]:
    """The values of one statement: those that its rows share, then row by row the others."""
    width = len(columns)
    values = [*once, *[None] * (width * len(columns[0]))]
    for place, column in enumerate(columns, len(once)):
        values[place::width] = column
    return values


def _statements(part: Columns) -> Iterator[Statement]:
    """Inserts them in as few statements as those of known sizes can be."""
    values, count, at = part.values, len(part), 0
    shared = _shared(part)
    once = tuple([values[place][0] for place in shared])
    others = [column for place, column in enumerate(values) if place not in shared]
    for size in _ROWS_AT_ONCE:
        while count - at >= size:
            row = _together(once, [column[at:at + size] for column in others])
            yield _insert_sql(size, shared), [row]
            at += size
    if at < count:
        yield _insert_sql(1, ()), list(zip(*[column[at:] for column in values], strict=True))


async def _insert(transaction: Transaction, parts: Sequence[Columns]) -> int:
    """Insert what is not there yet; returns how many that were."""
    statements: list[Statement] = []
    for part in parts:
        statements += _statements(part)
        await asyncio.sleep(0)  # this is the loop that carries calls
    return await transaction.all(statements)


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


async def insert(transaction: Transaction, parts: Sequence[Columns]) -> Sequence[Columns]:
    """Insert the records that are not there yet, and return those.

    That some are there already is rare, and looking for them dear: so all are inserted, and only
    where fewer rows came of it is that undone and are the known ones looked for.
    """
    if not parts:
        return []
    transaction.later("SAVEPOINT records")
    if await _insert(transaction, parts) == sum(map(len, parts)):
        return parts
    await transaction.run("ROLLBACK TO records")
    # of two with one identity the first counts
    by_identity: dict[tuple[int, str], CallRecord] = {}
    for record in in_one(parts):
        by_identity.setdefault(_identity(record), record)
    known = await _known(transaction, list(by_identity))
    fresh = in_parts([
        record for identity, record in by_identity.items() if identity not in known])
    await _insert(transaction, fresh)
    return fresh


async def find(
    transaction: Transaction, identities: Sequence[Identity]
) -> dict[Identity, CallRecord]:
    """Those of these calls that are there."""
    found: dict[Identity, CallRecord] = {}
    for start in range(0, len(identities), _IDS_AT_ONCE):
        part = identities[start:start + _IDS_AT_ONCE]
        marks = ", ".join(["(?, ?)"] * len(part))
        for row in await transaction.rows(
            f"SELECT {NAMES} FROM call_records WHERE (started_at_ms, id) IN (VALUES {marks})",
            list(chain.from_iterable(part)),
        ):
            record = record_of(row)
            found[_identity(record)] = record
    return found


async def page(
    transaction: Transaction, wanted: CallFilter, after: CallRecord | None = None
) -> list[CallRecord]:
    """At most BATCH_ROWS calls in the order of their start, from behind `after`."""
    if after is not None:
        # or SQLite begins at the first of all wanted calls, page after page
        wanted = replace(wanted, since_ms=after.started_at_ms)
    sql, values = wanted.conditions()
    if after is not None:
        sql += " AND (started_at_ms, id) > (?, ?)"
        values += [after.started_at_ms, after.id]
    rows = await transaction.rows(
        f"SELECT {NAMES} FROM call_records WHERE {sql} ORDER BY started_at_ms, id"
        f" LIMIT {BATCH_ROWS}", values,
    )
    return [record_of(row) for row in rows]


async def delete_before(transaction: Transaction, until_ms: int, most: int) -> int:
    """Delete the oldest calls that started before `until_ms`, `most` (> 0) at most; returns how
    many that were. Their hours' sums stay."""
    last = await transaction.row(
        "SELECT started_at_ms, id FROM call_records WHERE started_at_ms < ?"
        " ORDER BY started_at_ms, id LIMIT 1 OFFSET ?", (until_ms, most - 1))
    if last is None:
        return await transaction.run(
            "DELETE FROM call_records WHERE started_at_ms < ?", (until_ms,))
    return await transaction.run(
        "DELETE FROM call_records WHERE (started_at_ms, id) <= (?, ?)", last)
