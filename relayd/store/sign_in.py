"""Sign-ins as rows: kept for some months, the address sealed under the key of its month."""

from __future__ import annotations

from typing import Final

from relayd.core.holder import SignIn
from relayd.store.network import month_owner, unless_gone
from relayd.store.seal import UNREADABLE
from relayd.store.transaction import Row, Transaction

_TABLE: Final = "sign_ins"
_SELECT: Final = (
    "SELECT id, account_id, at_ms, outcome, method, device, address FROM sign_ins")


def _sign_in(transaction: Transaction, row: Row) -> SignIn:
    address = None
    with unless_gone(UNREADABLE):  # its time is over, or the month's key is damaged
        address = transaction.unseal(month_owner(row[2]), _TABLE, "address", row[0], row[6])
    return SignIn(*(*row[:6], address))


async def insert(transaction: Transaction, sign_in: SignIn) -> None:
    """Add an attempt; without its address where the month's key is destroyed, which only a clock
    that is months wrong meets, or damaged."""
    owner, sealed = month_owner(sign_in.at_ms), None
    await transaction.sealer.keyring.make(owner)
    with unless_gone(UNREADABLE):
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
