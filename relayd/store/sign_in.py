"""Sign-ins as rows: kept for some months, the address sealed under the key of its month."""

from __future__ import annotations

from typing import Final

from relayd.core.holder import SignIn
from relayd.core.network import month_name
from relayd.store.directory import StoreError
from relayd.store.transaction import Row, Transaction

_TABLE: Final = "sign_ins"
_SELECT: Final = (
    "SELECT id, account_id, at_ms, outcome, method, device, address FROM sign_ins")


def _month(at_ms: int) -> str:
    return f"month:{month_name(at_ms)}"


def _sign_in(transaction: Transaction, row: Row) -> SignIn:
    values = list(row)
    try:
        values[6] = transaction.unseal(_month(row[2]), _TABLE, "address", row[0], row[6])
    except StoreError as error:
        # the month's key was destroyed: its time is over
        if error.code != "data_key_gone":
            raise
        values[6] = None
    return SignIn(*values)


async def insert(transaction: Transaction, sign_in: SignIn) -> None:
    """Add an attempt."""
    owner = _month(sign_in.at_ms)
    try:
        transaction.sealer.keyring.cipher(owner)
    except StoreError:
        await transaction.sealer.keyring.make(owner)
    sealed = transaction.seal(owner, _TABLE, "address", sign_in.id, sign_in.address)
    await transaction.run(
        "INSERT INTO sign_ins (id, account_id, at_ms, outcome, method, device, address)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (sign_in.id, sign_in.account, sign_in.at_ms, sign_in.outcome, sign_in.method,
         sign_in.device, sealed),
    )


async def latest(transaction: Transaction, account_id: str, most: int) -> list[SignIn]:
    """An account's attempts, the latest first."""
    rows = await transaction.rows(
        f"{_SELECT} WHERE account_id = ? ORDER BY at_ms DESC, id DESC LIMIT ?",
        (account_id, most))
    return [_sign_in(transaction, row) for row in rows]


async def known_device(transaction: Transaction, account_id: str, device: str) -> bool | None:
    """Whether the account was signed in from such a device; None: never from any."""
    row = await transaction.row(
        "SELECT count(*), coalesce(sum(device = ?), 0) FROM sign_ins"
        " WHERE account_id = ? AND outcome = 'signed_in'", (device, account_id))
    assert row is not None
    return bool(row[1]) if row[0] else None


async def sweep(transaction: Transaction, before_ms: int, most: int) -> int:
    """Delete attempts from before a moment; returns how many."""
    return await transaction.run(
        "DELETE FROM sign_ins WHERE id IN (SELECT id FROM sign_ins WHERE at_ms < ? LIMIT ?)",
        (before_ms, most))
