"""Hourly sums of the call records as rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from relayd.core.attribution import AppKey
from relayd.core.rollup import RollupKey, Sums, hour_of
from relayd.core.timestamp import HOUR_MS, UNIX_MS_END
from relayd.store.record import CallFilter
from relayd.store.transaction import Transaction

_KEYS: Final = ("hour_ms", "account_id", "key_id", "model", "provider", "currency")
_SUMS: Final = Sums._fields
_ALL: Final = ", ".join((*_KEYS, *_SUMS))


def adding(table: str, keys: Sequence[str]) -> str:
    """The statement that adds sums to those of the same keys in a table."""
    return (f"INSERT INTO {table} ({', '.join((*keys, *_SUMS))})"
            f" VALUES ({', '.join('?' * (len(keys) + len(_SUMS)))})"
            f" ON CONFLICT ({', '.join(keys)}) DO UPDATE SET "
            + ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in _SUMS))


def differing(recomputed: str, stored: str) -> str:
    """The statement that gives the rows that stored sums and records do not share: 1, what is
    stored; 0, what the records make. The records are added up once, for both directions."""
    return (f"WITH computed AS MATERIALIZED ({recomputed}),"
            f" wrong AS (SELECT * FROM ({stored}) EXCEPT SELECT * FROM computed),"
            f" missing AS (SELECT * FROM computed EXCEPT SELECT * FROM ({stored}))"
            " SELECT 1, * FROM wrong UNION ALL SELECT 0, * FROM missing")


_ADD: Final = adding("rollups", _KEYS)
# the same rows as `rollups`, from the records
_RECOMPUTED: Final = (
    f"SELECT started_at_ms - started_at_ms % {HOUR_MS}, account_id, key_id, COALESCE(model, ''),"
    " COALESCE(provider, ''), currency, COUNT(*), "
    + ", ".join(f"SUM({name})" for name in _SUMS[1:])
    + " FROM call_records WHERE started_at_ms >= ?1 AND started_at_ms < ?2"
    " GROUP BY 1, 2, 3, 4, 5, 6"
)
_STORED: Final = f"SELECT {_ALL} FROM rollups WHERE hour_ms >= ?1 AND hour_ms < ?2"
_DIFFERENCES: Final = differing(_RECOMPUTED, _STORED)
_TOTAL_NAMES: Final = ("account_id", "model", "currency")
_FROM_RECORDS: Final = (
    "SELECT account_id, COALESCE(model, '') AS model, currency, 1 AS calls, "
    + ", ".join(_SUMS[1:]) + " FROM call_records"
)
_FROM_ROLLUPS: Final = f"SELECT {', '.join((*_TOTAL_NAMES, *_SUMS))} FROM rollups"


NOBODY: Final = ""
"""Stands for the account and the key of calls whose account is erased."""


class Total(NamedTuple):
    """What one account used of one model in one currency. `model` None: calls without a model."""

    account: str
    model: str | None
    currency: str
    sums: Sums


class Difference(NamedTuple):
    """An hour whose stored sums are not those of its records; None: there is no such row."""

    key: RollupKey | AppKey
    stored: Sums | None
    computed: Sums | None


async def add(transaction: Transaction, sums: Mapping[RollupKey, Sums]) -> None:
    """Add sums to those that are stored."""
    if sums:
        transaction.later(_ADD, [(*key, *value) for key, value in sums.items()])


def _parts(wanted: CallFilter) -> list[tuple[str, CallFilter]]:
    """A period as whole hours, from the rollups, and its ragged ends, from the records."""
    start = hour_of(wanted.since_ms + HOUR_MS - 1)
    end = None if wanted.until_ms is None else hour_of(wanted.until_ms)
    if end is not None and start >= end:
        return [(_FROM_RECORDS, wanted)]
    parts = [(_FROM_ROLLUPS, CallFilter(wanted.account, start, end))]
    if wanted.since_ms < start:
        parts.append((_FROM_RECORDS, CallFilter(wanted.account, wanted.since_ms, start)))
    if end is not None and wanted.until_ms is not None and end < wanted.until_ms:
        parts.append((_FROM_RECORDS, CallFilter(wanted.account, end, wanted.until_ms)))
    return parts


async def totals(transaction: Transaction, wanted: CallFilter) -> list[Total]:
    """Sums of the wanted calls by account, model and currency."""
    selects: list[str] = []
    values: list[Any] = []
    for select, part in _parts(wanted):
        time_column = "hour_ms" if select is _FROM_ROLLUPS else "started_at_ms"
        condition, part_values = part.conditions(time_column)
        selects.append(f"{select} WHERE {condition}")
        values += part_values
    sums = ", ".join(f"SUM({name})" for name in _SUMS)
    names = ", ".join(_TOTAL_NAMES)
    rows = await transaction.rows(
        f"SELECT {names}, {sums} FROM ({' UNION ALL '.join(selects)}) AS parts"
        f" GROUP BY {names} ORDER BY {names}", values,
    )
    return [Total(row[0], row[1] or None, row[2], Sums(*row[3:])) for row in rows]


async def hours(
    transaction: Transaction, account: str, after_ms: int, most: int
) -> list[tuple[RollupKey, Sums]]:
    """An account's sums of its next hours after this one, `most` hours at once."""
    rows = await transaction.rows(
        f"SELECT {_ALL} FROM rollups WHERE account_id = ?1 AND hour_ms > ?2 AND hour_ms <="
        " (SELECT MAX(hour_ms) FROM (SELECT DISTINCT hour_ms FROM rollups WHERE account_id = ?1"
        " AND hour_ms > ?2 ORDER BY hour_ms LIMIT ?3)) ORDER BY hour_ms",
        (account, after_ms, most))
    return [(RollupKey(*row[:len(_KEYS)]), Sums(*row[len(_KEYS):])) for row in rows]


async def narrowed(transaction: Transaction, wanted: CallFilter) -> list[CallFilter]:
    """The same calls in the order of time: by the hours in which an account has any.

    So that finding one account's calls reads those hours and not everybody's whole history.
    """
    if wanted.account is None:
        return [wanted]
    since_ms = hour_of(wanted.since_ms)
    condition, values = replace(wanted, since_ms=since_ms).conditions("hour_ms")
    rows = await transaction.rows(
        f"SELECT DISTINCT hour_ms FROM rollups WHERE {condition} ORDER BY hour_ms", values)
    ends = [hour_ms + HOUR_MS for hour_ms, in rows]
    if ends and wanted.until_ms is not None:
        ends[-1] = min(ends[-1], wanted.until_ms)
    return [CallFilter(wanted.account, max(wanted.since_ms, hour_ms), end)
            for (hour_ms,), end in zip(rows, ends, strict=True)]


async def bounds(transaction: Transaction) -> tuple[int, int]:
    """The first hour that has sums or records, and the hour after the last; (0, 0): none has."""
    found = [row[0] for row in await transaction.rows(
        "SELECT MIN(hour_ms) FROM rollups UNION ALL SELECT MAX(hour_ms) FROM rollups"
        " UNION ALL SELECT MIN(hour_ms) FROM app_rollups"
        " UNION ALL SELECT MAX(hour_ms) FROM app_rollups"
        " UNION ALL SELECT MIN(started_at_ms) FROM call_records"
        " UNION ALL SELECT MAX(started_at_ms) FROM call_records")]
    hours = [hour_of(each) for each in found if each is not None]
    return (min(hours), max(hours) + HOUR_MS) if hours else (0, 0)


async def differences(
    transaction: Transaction, since_ms: int = 0, until_ms: int = UNIX_MS_END,
) -> list[Difference]:
    """Every hour of [since_ms, until_ms), starts of some, whose stored sums are not what its
    records add up to; reads all those records, and holds their sums in memory."""
    rows = await transaction.rows(_DIFFERENCES, (since_ms, until_ms))
    stored = [row[1:] for row in rows if row[0]]
    computed = [row[1:] for row in rows if not row[0]]
    width = len(_KEYS)
    has = {RollupKey(*row[:width]): Sums(*row[width:]) for row in stored}
    should = {RollupKey(*row[:width]): Sums(*row[width:]) for row in computed}
    return [Difference(key, has.get(key), should.get(key)) for key in sorted(has | should)]


async def anonymise(transaction: Transaction, until_ms: int, most: int) -> int:
    """Take the account and the key from sums of erased accounts' hours before a moment.

    They are added to those of nobody, so that totals stay; returns how many rows that were.
    """
    rows = await transaction.rows(
        f"SELECT {_ALL} FROM rollups WHERE hour_ms < ? AND account_id IN"
        " (SELECT id FROM accounts WHERE state = 'erased') LIMIT ?", (until_ms, most))
    sums: dict[RollupKey, Sums] = {}
    for row in rows:
        key = RollupKey(*row[:len(_KEYS)])._replace(account=NOBODY, key=NOBODY)
        value, before = Sums(*row[len(_KEYS):]), sums.get(key)
        sums[key] = value if before is None else Sums(
            *(one + other for one, other in zip(before, value, strict=True)))
    marks = " AND ".join(f"{name} = ?" for name in _KEYS)
    await transaction.many(
        f"DELETE FROM rollups WHERE {marks}", [row[:len(_KEYS)] for row in rows])
    await add(transaction, sums)
    return len(rows)
