"""Holders as rows: the password's hash is sealed with the account's other data."""

from __future__ import annotations

from typing import Final

from relayd.core.holder import Holder
from relayd.store.transaction import Row, Transaction

_TABLE: Final = "holders"
_SELECT: Final = (
    "SELECT account_id, password, password_at_ms, age_stated_at_ms, seen_at_ms, dormant_steps,"
    " dormant_at_ms FROM holders"
)
OF_A_HOLDER: Final = ("sessions", "mail_tokens", "totp", "recovery_codes", "passkeys",
                      "account_roles", "reveals", "holders")
"""The tables whose rows go with their account; sign-ins have a term of their own."""


def _holder(transaction: Transaction, row: Row) -> Holder:
    password = transaction.unseal(row[0], _TABLE, "password", row[0], row[1])
    return Holder(row[0], password, *row[2:])


async def put(transaction: Transaction, holder: Holder) -> None:
    """Write every column of an account's holder, new or known."""
    sealed = transaction.seal(
        holder.account, _TABLE, "password", holder.account, holder.password)
    await transaction.run(
        "INSERT INTO holders (account_id, password, password_at_ms, age_stated_at_ms, seen_at_ms,"
        " dormant_steps, dormant_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (account_id) DO UPDATE SET password = excluded.password,"
        " password_at_ms = excluded.password_at_ms,"
        " age_stated_at_ms = excluded.age_stated_at_ms, seen_at_ms = excluded.seen_at_ms,"
        " dormant_steps = excluded.dormant_steps, dormant_at_ms = excluded.dormant_at_ms",
        (holder.account, sealed, holder.password_at_ms, holder.age_stated_at_ms,
         holder.seen_at_ms, holder.dormant_steps, holder.dormant_at_ms),
    )


async def find(transaction: Transaction, account_id: str) -> Holder | None:
    """The account's holder; None for one that only the shell knows."""
    row = await transaction.row(f"{_SELECT} WHERE account_id = ?", (account_id,))
    return None if row is None else _holder(transaction, row)


async def bare(transaction: Transaction, account_id: str) -> Holder | None:
    """The same without the password, which need not be readable then."""
    row = await transaction.row(
        f"{_SELECT.replace('password', 'NULL', 1)} WHERE account_id = ?", (account_id,))
    return None if row is None else _holder(transaction, row)


async def seen(transaction: Transaction, account_id: str, now_ms: int) -> None:
    """Somebody was there: dormancy starts anew."""
    await transaction.run(
        "UPDATE holders SET seen_at_ms = ?, dormant_steps = 0, dormant_at_ms = 0"
        " WHERE account_id = ?", (now_ms, account_id))


async def dormant(
    transaction: Transaction, seen_before_ms: int, after_id: str, most: int
) -> list[tuple[Holder, int]]:
    """Holders of living accounts, by id, not seen since a moment, each with its last call's hour.

    Without their passwords, which nobody needs for that. Those after `after_id`, at most `most`:
    the caller goes on from the last one.
    """
    rows = await transaction.rows(
        "SELECT h.account_id, NULL, h.password_at_ms, h.age_stated_at_ms, h.seen_at_ms,"
        " h.dormant_steps, h.dormant_at_ms,"
        " coalesce((SELECT max(hour_ms) FROM rollups r WHERE r.account_id = h.account_id), 0)"
        # crossed in this order, and not by when they were seen: else all are found, and sorted,
        # for each batch of them
        " FROM holders h CROSS JOIN accounts a ON a.id = h.account_id"
        " WHERE +h.seen_at_ms <= ? AND h.account_id > ? AND a.state IN ('active', 'suspended')"
        " ORDER BY h.account_id LIMIT ?", (seen_before_ms, after_id, most))
    return [(_holder(transaction, row[:-1]), row[-1]) for row in rows]


async def unverified(transaction: Transaction, before_ms: int, most: int) -> list[str]:
    """Registrations from before a moment that nobody verified."""
    rows = await transaction.rows(
        "SELECT id FROM accounts WHERE state = 'unverified' AND created_at_ms < ?"
        " ORDER BY id LIMIT ?", (before_ms, most))
    return [row[0] for row in rows]


async def forget(transaction: Transaction, account_id: str) -> int:
    """Delete what signing in knows of an account; returns the number of rows."""
    deleted = 0
    for table in OF_A_HOLDER:
        deleted += await transaction.run(
            f"DELETE FROM {table} WHERE account_id = ?", (account_id,))
    return deleted + await transaction.run(
        "DELETE FROM reveals WHERE operator_id = ?", (account_id,))
