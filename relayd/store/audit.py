"""Audit events and checkpoints as rows.

Law: rows are only added; SQL triggers refuse all else, except the deletion of what a signed
checkpoint says is pruned.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from relayd.core.audit import START, AuditEvent
from relayd.store.transaction import Row, Transaction, Values

TABLE: Final = "audit_log"
_COLUMNS: Final = "seq, at_ms, actor, roles, via, action, target, reason, details, hash"


def _event(row: Row) -> tuple[AuditEvent, bytes]:
    return AuditEvent(*row[:9]), row[9]


async def head(transaction: Transaction) -> tuple[int, bytes]:
    """(number, hash) of the last event; that of the last checkpoint where none is left."""
    row = await transaction.row("SELECT seq, hash FROM audit_log ORDER BY seq DESC LIMIT 1")
    if row is None:
        row = await transaction.row(
            "SELECT seq, hash FROM audit_checkpoints ORDER BY seq DESC LIMIT 1")
    return (0, START) if row is None else (row[0], row[1])


async def insert(transaction: Transaction, event: AuditEvent, hashed: bytes) -> None:
    """Add an event with its hash; its number is one more than the head's."""
    await transaction.run(
        f"INSERT INTO audit_log ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (event.seq, event.at_ms, event.actor, event.roles, event.via, event.action, event.target,
         event.reason, event.details, hashed))


async def events(
    transaction: Transaction, *, after_seq: int = 0, since_ms: int = 0, target: str | None = None,
    last_seq: int | None = None,
) -> AsyncIterator[tuple[AuditEvent, bytes]]:
    """Events with their hashes, oldest first."""
    sql = f"SELECT {_COLUMNS} FROM audit_log WHERE seq > ? AND at_ms >= ?"
    values: list[object] = [after_seq, since_ms]
    if target is not None:
        sql += " AND target = ?"
        values.append(target)
    if last_seq is not None:
        sql += " AND seq <= ?"
        values.append(last_seq)
    query: Values = values
    async for batch in transaction.batches(f"{sql} ORDER BY seq", query):
        for row in batch:
            yield _event(row)


async def latest(
    transaction: Transaction, before_seq: int | None, target: str | None, most: int
) -> list[tuple[AuditEvent, bytes]]:
    """At most `most` events before a number (None: up to the last), the newest first."""
    sql = f"SELECT {_COLUMNS} FROM audit_log WHERE seq < ?"
    values: list[object] = [(1 << 62) if before_seq is None else before_seq]
    if target is not None:
        sql += " AND target = ?"
        values.append(target)
    rows = await transaction.rows(f"{sql} ORDER BY seq DESC LIMIT ?", [*values, most])
    return [_event(row) for row in rows]
