"""Mailed tokens as rows, found by their hash."""

from __future__ import annotations

from typing import Final

from relayd.core.mail_token import MailToken, Purpose
from relayd.store.transaction import Row, Transaction

_TABLE: Final = "mail_tokens"
_SELECT: Final = (
    "SELECT account_id, purpose, created_at_ms, expires_at_ms, used_at_ms, value, digest"
    " FROM mail_tokens"
)


def _token(transaction: Transaction, row: Row) -> MailToken:
    values = list(row[:6])
    values[5] = transaction.unseal(row[0], _TABLE, "value", row[6].hex(), row[5])
    return MailToken(*values)


async def insert(transaction: Transaction, token: MailToken, digest: bytes) -> None:
    """Add a token that is known by this hash of its text."""
    sealed = transaction.seal(token.account, _TABLE, "value", digest.hex(), token.value)
    await transaction.run(
        "INSERT INTO mail_tokens (digest, account_id, purpose, value, created_at_ms,"
        " expires_at_ms, used_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (digest, token.account, token.purpose, sealed, token.created_at_ms, token.expires_at_ms,
         token.used_at_ms),
    )


async def find(transaction: Transaction, digest: bytes) -> MailToken | None:
    """The token of this hash, usable or not."""
    row = await transaction.row(f"{_SELECT} WHERE digest = ?", (digest,))
    return None if row is None else _token(transaction, row)


async def of_account(
    transaction: Transaction, account_id: str, purpose: Purpose
) -> MailToken | None:
    """The account's newest token of a purpose."""
    row = await transaction.row(
        f"{_SELECT} WHERE account_id = ? AND purpose = ? ORDER BY created_at_ms DESC LIMIT 1",
        (account_id, purpose))
    return None if row is None else _token(transaction, row)


async def use(transaction: Transaction, digest: bytes, now_ms: int) -> bool:
    """Mark a token as used; False where somebody else was first."""
    return await transaction.run(
        "UPDATE mail_tokens SET used_at_ms = ? WHERE digest = ? AND used_at_ms IS NULL",
        (now_ms, digest)) == 1


async def delete(transaction: Transaction, account_id: str, *purposes: Purpose) -> int:
    """Delete an account's tokens of some purposes."""
    deleted = 0
    for purpose in purposes:
        deleted += await transaction.run(
            "DELETE FROM mail_tokens WHERE account_id = ? AND purpose = ?", (account_id, purpose))
    return deleted


async def sweep(transaction: Transaction, now_ms: int, most: int) -> int:
    """Delete tokens whose time is over; returns how many."""
    return await transaction.run(
        "DELETE FROM mail_tokens WHERE digest IN"
        " (SELECT digest FROM mail_tokens WHERE expires_at_ms <= ? LIMIT ?)", (now_ms, most))
