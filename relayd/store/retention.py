"""What the sweep did last, by category of core/retention.py, as rows."""

from __future__ import annotations

from typing import NamedTuple

from relayd.store.transaction import Transaction


class Swept(NamedTuple):
    """The last sweep of a category: when, how many rows went, and how many in all sweeps."""

    at_ms: int
    last_rows: int
    all_rows: int


async def note(transaction: Transaction, category: str, rows: int, now_ms: int) -> None:
    """Say that a category was swept."""
    await transaction.run(
        "INSERT INTO sweeps (category, swept_at_ms, last_rows, all_rows) VALUES (?1, ?2, ?3, ?3)"
        " ON CONFLICT (category) DO UPDATE SET swept_at_ms = excluded.swept_at_ms,"
        " last_rows = excluded.last_rows, all_rows = all_rows + excluded.last_rows",
        (category, now_ms, rows))


async def swept(transaction: Transaction) -> dict[str, Swept]:
    """The last sweep of each category that was ever swept."""
    rows = await transaction.rows(
        "SELECT category, swept_at_ms, last_rows, all_rows FROM sweeps")
    return {row[0]: Swept(*row[1:]) for row in rows}
