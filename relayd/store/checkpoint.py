"""Checkpoints of the audit log as rows."""

from __future__ import annotations

from typing import Final

from relayd.core.checkpoint import Checkpoint
from relayd.store.transaction import Transaction

_COLUMNS: Final = (
    "seq, at_ms, hash, root, pruned_seq, pruned_hash, previous, public_key, signature")


async def listing(transaction: Transaction) -> list[Checkpoint]:
    """All that are kept, oldest first."""
    rows = await transaction.rows(f"SELECT {_COLUMNS} FROM audit_checkpoints ORDER BY seq")
    return [Checkpoint(*row) for row in rows]


async def last(transaction: Transaction) -> Checkpoint | None:
    """The newest."""
    row = await transaction.row(
        f"SELECT {_COLUMNS} FROM audit_checkpoints ORDER BY seq DESC LIMIT 1")
    return None if row is None else Checkpoint(*row)


async def last_over(transaction: Transaction, before_ms: int) -> Checkpoint | None:
    """The newest that is older than a moment, as is every event up to it.

    A clock that was behind for a while makes old checkpoints over young events.
    """
    young = await transaction.row(
        "SELECT seq FROM audit_log WHERE at_ms >= ? ORDER BY seq LIMIT 1", (before_ms,))
    row = await transaction.row(
        f"SELECT {_COLUMNS} FROM audit_checkpoints WHERE at_ms < ? AND seq < ?"
        " ORDER BY seq DESC LIMIT 1", (before_ms, 1 << 62 if young is None else young[0]))
    return None if row is None else Checkpoint(*row)


async def following(transaction: Transaction, seq: int) -> Checkpoint | None:
    """The checkpoint whose tree has this event, if it is signed already."""
    row = await transaction.row(
        f"SELECT {_COLUMNS} FROM audit_checkpoints WHERE seq >= ? ORDER BY seq LIMIT 1", (seq,))
    return None if row is None else Checkpoint(*row)


async def insert(transaction: Transaction, made: Checkpoint) -> None:
    """Add a checkpoint; the newest there is."""
    await transaction.run(
        f"INSERT INTO audit_checkpoints ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (made.seq, made.at_ms, made.hash, made.root, made.pruned_seq, made.pruned_hash,
         made.previous, made.public_key, made.signature))


async def prune(transaction: Transaction, seq: int) -> int:
    """Delete the events up to this one and the checkpoints before it, which a checkpoint says.

    Returns the number of events.
    """
    deleted = await transaction.run("DELETE FROM audit_log WHERE seq <= ?", (seq,))
    await transaction.run("DELETE FROM audit_checkpoints WHERE seq < ?", (seq,))
    return deleted
