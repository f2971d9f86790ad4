"""Margins of past days as rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from relayd.core.margin import Margin, MarginKey
from relayd.core.timestamp import DAY_MS
from relayd.store.transaction import Transaction

_COLUMNS: Final = ", ".join((*MarginKey._fields, *Margin._fields))


async def stale(transaction: Transaction, since_ms: int, until_ms: int, most: int) -> list[int]:
    """Days in [since_ms, until_ms) of whose calls the rows have not the number or the amount that
    the hours' sums have, the oldest first."""
    rows = await transaction.rows(
        "SELECT day FROM ("
        f" SELECT hour_ms - hour_ms % {DAY_MS} AS day, SUM(calls) AS calls,"
        "  SUM(amount_nano) AS nano FROM rollups WHERE hour_ms >= ?1 AND hour_ms < ?2 GROUP BY 1"
        " UNION ALL SELECT day_ms, -SUM(calls), -SUM(revenue_nano) FROM margins"
        "  WHERE day_ms >= ?1 AND day_ms < ?2 GROUP BY 1)"
        " GROUP BY day HAVING SUM(calls) <> 0 OR SUM(nano) <> 0 ORDER BY day LIMIT ?3",
        (since_ms, until_ms, most))
    return [row[0] for row in rows]


async def put(
    transaction: Transaction, day_ms: int, sums: Mapping[MarginKey, Margin]
) -> None:
    """Makes these a day's rows, and no others."""
    await transaction.run("DELETE FROM margins WHERE day_ms = ?", (day_ms,))
    marks = ", ".join("?" * (len(MarginKey._fields) + len(Margin._fields)))
    await transaction.many(
        f"INSERT INTO margins ({_COLUMNS}) VALUES ({marks})",
        [(*key, *margin) for key, margin in sums.items()])


async def listing(
    transaction: Transaction, since_ms: int, until_ms: int
) -> dict[MarginKey, Margin]:
    """The rows of days in [since_ms, until_ms)."""
    rows = await transaction.rows(
        f"SELECT {_COLUMNS} FROM margins WHERE day_ms >= ? AND day_ms < ?"
        f" ORDER BY {', '.join(MarginKey._fields)}", (since_ms, until_ms))
    return {MarginKey(*row[:4]): Margin(*row[4:]) for row in rows}


async def calls(transaction: Transaction, since_ms: int, until_ms: int) -> int:
    """How many calls the hours' sums have."""
    row = await transaction.row(
        "SELECT COALESCE(SUM(calls), 0) FROM rollups WHERE hour_ms >= ? AND hour_ms < ?",
        (since_ms, until_ms))
    assert row is not None
    return int(row[0])
