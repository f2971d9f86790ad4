"""What payment partners said, as rows: each message once, with what came of it."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from relayd.core.partner import PartnerEvent
from relayd.store.transaction import Transaction


class Heard(NamedTuple):
    """A message and what came of it."""

    partner: str
    event: str
    kind: str
    order: str
    outcome: str
    at_ms: int
    seen_at_ms: int | None


async def outcome_of(transaction: Transaction, partner: str, event: str) -> str | None:
    """What came of a message, None where it has not been heard before."""
    row = await transaction.row(
        "SELECT outcome FROM partner_events WHERE partner = ? AND event = ?", (partner, event))
    return None if row is None else str(row[0])


async def insert(
    transaction: Transaction, event: PartnerEvent, outcome: str, now_ms: int
) -> None:
    """Keep that a message was heard. StoreError `store_refused` where it was already."""
    await transaction.run(
        "INSERT INTO partner_events (partner, event, kind, order_id, outcome, at_ms)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (event.partner, event.event, event.kind, event.order, outcome, now_ms))


async def unseen(
    transaction: Transaction, outcomes: Collection[str], most: int
) -> list[Heard]:
    """The newest messages with such an outcome that nobody has looked at."""
    marks = ", ".join("?" * len(outcomes))
    rows = await transaction.rows(
        "SELECT partner, event, kind, order_id, outcome, at_ms, seen_at_ms FROM partner_events"
        f" WHERE outcome IN ({marks}) AND seen_at_ms IS NULL ORDER BY at_ms DESC LIMIT ?",
        (*sorted(outcomes), most))
    return [Heard(*row) for row in rows]


async def see(transaction: Transaction, partner: str, event: str, now_ms: int) -> bool:
    """Note that a person has looked; False where there is nothing to look at."""
    return await transaction.run(
        "UPDATE partner_events SET seen_at_ms = ? WHERE partner = ? AND event = ?"
        " AND seen_at_ms IS NULL", (now_ms, partner, event)) == 1


async def delete_before(transaction: Transaction, before_ms: int, most: int) -> int:
    """Delete the oldest messages from before a moment; returns how many."""
    return await transaction.run(
        "DELETE FROM partner_events WHERE (partner, event) IN (SELECT partner, event"
        " FROM partner_events WHERE at_ms < ? ORDER BY at_ms LIMIT ?)", (before_ms, most))
