"""How far the journal is in the store, lane by lane.

Law: the position moves in the transaction that inserts the records, and never back.
"""

from __future__ import annotations

from typing import NamedTuple

from relayd.store.transaction import Transaction


class Applied(NamedTuple):
    """Every call that closed in this lane up to this line is in the store."""

    lane: int
    number: int


async def position(transaction: Transaction, lane: int) -> int:
    """The number of the last line that is applied; 0 where there is none."""
    row = await transaction.row("SELECT applied FROM journal_lanes WHERE lane = ?", (lane,))
    return 0 if row is None else int(row[0])


async def advance(transaction: Transaction, applied: Applied) -> None:
    """Notes that the records up to this line are in the store with this transaction."""
    transaction.later(
        "INSERT INTO journal_lanes (lane, applied) VALUES (?, ?)"
        " ON CONFLICT (lane) DO UPDATE SET applied = MAX(applied, excluded.applied)",
        [applied])
