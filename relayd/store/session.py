"""Sessions as rows: found by their token's hash, their address sealed."""

from __future__ import annotations

from typing import Final

from relayd.core.session import AGE_MS_MAX, IDLE_MS_MAX, Session
from relayd.store.transaction import Row, Transaction

_TABLE: Final = "sessions"
_SELECT: Final = (
    "SELECT id, account_id, stage, method, device, address, created_at_ms, used_at_ms,"
    " proved_at_ms, two_factors FROM sessions"
)


def _session(transaction: Transaction, row: Row) -> Session:
    values = list(row)
    values[5] = transaction.unseal(row[1], _TABLE, "address", row[0], row[5])
    values[9] = bool(row[9])
    return Session(*values)


async def insert(transaction: Transaction, session: Session, digest: bytes) -> None:
    """Add a session that is known by this hash of its token."""
    sealed = transaction.seal(session.account, _TABLE, "address", session.id, session.address)
    await transaction.run(
        "INSERT INTO sessions (id, digest, account_id, stage, method, two_factors, device,"
        " address, created_at_ms, used_at_ms, proved_at_ms)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (session.id, digest, session.account, session.stage, session.method,
         session.two_factors, session.device, sealed, session.created_at_ms, session.used_at_ms,
         session.proved_at_ms),
    )


async def replace(transaction: Transaction, session: Session, digest: bytes) -> bool:
    """The session with this id goes on under another token, with what it may do now; False where
    it has ended."""
    return await transaction.run(
        "UPDATE sessions SET digest = ?, stage = ?, method = ?, two_factors = ?, used_at_ms = ?,"
        " proved_at_ms = ? WHERE id = ?",
        (digest, session.stage, session.method, session.two_factors, session.used_at_ms,
         session.proved_at_ms, session.id),
    ) == 1


async def find(transaction: Transaction, digest: bytes) -> Session | None:
    """The session of a token's hash, ended or not."""
    row = await transaction.row(f"{_SELECT} WHERE digest = ?", (digest,))
    return None if row is None else _session(transaction, row)


async def used(transaction: Transaction, session_id: str, now_ms: int) -> None:
    """The session was used."""
    await transaction.run(
        "UPDATE sessions SET used_at_ms = ? WHERE id = ?", (now_ms, session_id))


async def listing(transaction: Transaction, account_id: str) -> list[Session]:
    """An account's sessions, the last used first."""
    rows = await transaction.rows(
        f"{_SELECT} WHERE account_id = ? ORDER BY used_at_ms DESC, id", (account_id,))
    return [_session(transaction, row) for row in rows]


async def delete(transaction: Transaction, account_id: str, session_id: str) -> int:
    """End one session of an account."""
    return await transaction.run(
        "DELETE FROM sessions WHERE account_id = ? AND id = ?", (account_id, session_id))


async def delete_all(transaction: Transaction, account_id: str, but: str | None = None) -> int:
    """End every session of an account, save one."""
    return await transaction.run(
        "DELETE FROM sessions WHERE account_id = ? AND id IS NOT ?", (account_id, but))


async def sweep(transaction: Transaction, now_ms: int, most: int) -> int:
    """Delete sessions that have ended by age or idleness; returns how many."""
    return await transaction.run(
        "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE used_at_ms <= ?"
        " OR created_at_ms <= ? LIMIT ?)", (now_ms - IDLE_MS_MAX, now_ms - AGE_MS_MAX, most))
