"""Authenticators and recovery codes as rows; the secret is sealed, codes are hashes."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Final

from relayd.core.totp import Totp
from relayd.store.transaction import Transaction

_TABLE: Final = "totp"


async def put(transaction: Transaction, totp: Totp) -> None:
    """Write an account's authenticator; it has one."""
    text = base64.b64encode(totp.secret).decode("ascii")
    sealed = transaction.seal(totp.account, _TABLE, "secret", totp.account, text)
    await transaction.run(
        "INSERT INTO totp (account_id, secret, confirmed, last_step, created_at_ms)"
        " VALUES (?, ?, ?, ?, ?) ON CONFLICT (account_id) DO UPDATE SET"
        " secret = excluded.secret, confirmed = excluded.confirmed,"
        " last_step = excluded.last_step, created_at_ms = excluded.created_at_ms",
        (totp.account, sealed, totp.confirmed, totp.last_step, totp.created_at_ms),
    )


async def find(transaction: Transaction, account_id: str) -> Totp | None:
    """The account's authenticator, confirmed or not."""
    row = await transaction.row(
        "SELECT account_id, secret, confirmed, last_step, created_at_ms FROM totp"
        " WHERE account_id = ?", (account_id,))
    if row is None:
        return None
    text = transaction.unseal(account_id, _TABLE, "secret", account_id, row[1])
    return Totp(row[0], base64.b64decode(text or ""), bool(row[2]), row[3], row[4])


async def delete(transaction: Transaction, account_id: str) -> int:
    """Delete an account's authenticator and its recovery codes."""
    await transaction.run("DELETE FROM recovery_codes WHERE account_id = ?", (account_id,))
    return await transaction.run("DELETE FROM totp WHERE account_id = ?", (account_id,))


async def put_codes(transaction: Transaction, account_id: str, digests: Iterable[bytes]) -> None:
    """Replace an account's recovery codes."""
    await transaction.run("DELETE FROM recovery_codes WHERE account_id = ?", (account_id,))
    await transaction.many(
        "INSERT INTO recovery_codes (digest, account_id) VALUES (?, ?)",
        [(digest, account_id) for digest in digests])


async def use_code(transaction: Transaction, account_id: str, digest: bytes) -> bool:
    """Use up a recovery code; False where the account has none such."""
    return await transaction.run(
        "DELETE FROM recovery_codes WHERE account_id = ? AND digest = ?",
        (account_id, digest)) == 1


async def codes_left(transaction: Transaction, account_id: str) -> int:
    """How many recovery codes the account has."""
    row = await transaction.row(
        "SELECT count(*) FROM recovery_codes WHERE account_id = ?", (account_id,))
    assert row is not None
    return int(row[0])
