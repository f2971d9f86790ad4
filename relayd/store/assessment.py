"""Self-assessments as rows: one for each subject."""

from __future__ import annotations

from relayd.core.assessment import Assessment, Judged
from relayd.store.transaction import Transaction


async def insert(transaction: Transaction, made: Assessment, keep: int) -> None:
    """Add one; the newest `keep` stay, and none that a clock made which was ahead."""
    await transaction.run("DELETE FROM assessments WHERE at_ms > ?", (made.at_ms,))
    await transaction.many(
        "INSERT OR REPLACE INTO assessments (at_ms, subject, level, figure) VALUES (?, ?, ?, ?)",
        [(made.at_ms, each.subject, each.level, each.figure) for each in made.judged])
    await transaction.run(
        "DELETE FROM assessments WHERE at_ms NOT IN"
        " (SELECT DISTINCT at_ms FROM assessments ORDER BY at_ms DESC LIMIT ?)", (keep,))


async def last(transaction: Transaction) -> Assessment | None:
    """The newest one."""
    rows = await transaction.rows(
        "SELECT at_ms, subject, level, figure FROM assessments"
        " WHERE at_ms = (SELECT max(at_ms) FROM assessments) ORDER BY subject")
    return Assessment(rows[0][0], tuple(Judged(*row[1:]) for row in rows)) if rows else None
