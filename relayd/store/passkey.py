"""Passkeys as rows: found by a keyed hash of their credential id."""

from __future__ import annotations

import base64
from typing import Final

from relayd.core.passkey import Passkey
from relayd.store.transaction import Row, Transaction

_TABLE: Final = "passkeys"
_SELECT: Final = (
    "SELECT id, account_id, credential, public_key, name, sign_count, created_at_ms, used_at_ms"
    " FROM passkeys"
)


def _index(transaction: Transaction, credential: bytes) -> bytes:
    return transaction.blind("passkey", credential.hex())


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _passkey(transaction: Transaction, row: Row) -> Passkey:
    def opened(column: str, sealed: bytes) -> str:
        return transaction.unseal(row[1], _TABLE, column, row[0], sealed) or ""

    return Passkey(
        row[0], row[1], base64.b64decode(opened("credential", row[2])),
        base64.b64decode(opened("public_key", row[3])), opened("name", row[4]), *row[5:])


async def insert(transaction: Transaction, passkey: Passkey) -> None:
    """Add a passkey. Raises StoreError `store_refused` where its credential id is known."""
    def sealed(column: str, text: str) -> bytes | None:
        return transaction.seal(passkey.account, _TABLE, column, passkey.id, text)

    await transaction.run(
        "INSERT INTO passkeys (id, account_id, credential_index, credential, public_key, name,"
        " sign_count, created_at_ms, used_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (passkey.id, passkey.account, _index(transaction, passkey.credential),
         sealed("credential", _text(passkey.credential)),
         sealed("public_key", _text(passkey.public_key)), sealed("name", passkey.name),
         passkey.sign_count, passkey.created_at_ms, passkey.used_at_ms),
    )


async def find(transaction: Transaction, credential: bytes) -> Passkey | None:
    """The passkey with this credential id."""
    row = await transaction.row(
        f"{_SELECT} WHERE credential_index = ?", (_index(transaction, credential),))
    return None if row is None else _passkey(transaction, row)


async def listing(transaction: Transaction, account_id: str) -> list[Passkey]:
    """An account's passkeys, oldest first."""
    rows = await transaction.rows(f"{_SELECT} WHERE account_id = ? ORDER BY id", (account_id,))
    return [_passkey(transaction, row) for row in rows]


async def used(
    transaction: Transaction, passkey_id: str, sign_count: int, now_ms: int
) -> bool:
    """The passkey has signed; False where it is there no more."""
    return await transaction.run(
        "UPDATE passkeys SET sign_count = ?, used_at_ms = ? WHERE id = ?",
        (sign_count, now_ms, passkey_id)) == 1


async def delete(transaction: Transaction, account_id: str, passkey_id: str) -> int:
    """Delete a passkey of an account."""
    return await transaction.run(
        "DELETE FROM passkeys WHERE account_id = ? AND id = ?", (account_id, passkey_id))


async def answer(transaction: Transaction, digest: bytes, now_ms: int) -> bool:
    """Keep that a challenge was answered; False where it was before."""
    return await transaction.run(
        "INSERT INTO passkey_answers (digest, at_ms) VALUES (?, ?)"
        " ON CONFLICT (digest) DO NOTHING", (digest, now_ms)) == 1


async def sweep_answers(transaction: Transaction, before_ms: int) -> int:
    """Forget challenges that are too old to be answered again."""
    return await transaction.run("DELETE FROM passkey_answers WHERE at_ms < ?", (before_ms,))
