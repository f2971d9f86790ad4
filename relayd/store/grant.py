"""Grants and the codes that give them, as rows."""

from __future__ import annotations

from typing import Final, NamedTuple

from relayd.core.grant import Grant
from relayd.store.transaction import Transaction

_COLUMNS: Final = (
    "id, account_id, currency, amount_nano, left_nano, source, created_at_ms, expires_at_ms")
_SELECT: Final = f"SELECT {_COLUMNS} FROM grants"


class Code(NamedTuple):
    """A code to redeem, without its text. Times are Unix milliseconds."""

    id: str
    currency: str
    amount_nano: int
    uses_left: int
    created_at_ms: int
    expires_at_ms: int | None
    grant_days: int | None


async def insert(transaction: Transaction, grant: Grant) -> None:
    """Add a grant."""
    await transaction.run(
        f"INSERT INTO grants ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (grant.id, grant.account, grant.currency, grant.amount_nano, grant.left_nano,
         grant.source, grant.created_at_ms, grant.expires_at_ms))


async def left(transaction: Transaction, account_id: str, currency: str) -> list[Grant]:
    """An account's grants of which something is left."""
    rows = await transaction.rows(
        f"{_SELECT} WHERE account_id = ? AND currency = ? AND left_nano > 0",
        (account_id, currency))
    return [Grant(*row) for row in rows]


async def listing(transaction: Transaction, account_id: str) -> list[Grant]:
    """All grants of an account, the newest first."""
    rows = await transaction.rows(
        f"{_SELECT} WHERE account_id = ? ORDER BY created_at_ms DESC, id DESC", (account_id,))
    return [Grant(*row) for row in rows]


async def find(transaction: Transaction, grant_id: str) -> Grant | None:
    """The grant with this id."""
    row = await transaction.row(f"{_SELECT} WHERE id = ?", (grant_id,))
    return None if row is None else Grant(*row)


async def latest(transaction: Transaction, most: int) -> list[Grant]:
    """Anybody's grants that are no subscription's allowance, the newest first."""
    rows = await transaction.rows(
        f"{_SELECT} WHERE source <> 'subscription' ORDER BY created_at_ms DESC, id DESC LIMIT ?",
        (most,))
    return [Grant(*row) for row in rows]


async def take(transaction: Transaction, grant_id: str, nano: int) -> None:
    """So much of a grant is spent, or gone."""
    await transaction.run(
        "UPDATE grants SET left_nano = left_nano - ? WHERE id = ?", (nano, grant_id))


async def expired(transaction: Transaction, now_ms: int, most: int) -> list[Grant]:
    """Grants whose time is over and of which something is left."""
    rows = await transaction.rows(
        f"{_SELECT} WHERE left_nano > 0 AND expires_at_ms <= ? ORDER BY expires_at_ms LIMIT ?",
        (now_ms, most))
    return [Grant(*row) for row in rows]


async def of_source(
    transaction: Transaction, account_id: str, source: str
) -> list[Grant]:
    """An account's grants of one source of which something is left."""
    rows = await transaction.rows(
        f"{_SELECT} WHERE account_id = ? AND source = ? AND left_nano > 0", (account_id, source))
    return [Grant(*row) for row in rows]


async def was_allowed(
    transaction: Transaction, account_id: str, nano: int, currency: str, now_ms: int
) -> bool:
    """Whether an account was given this allowance for a period that is not over yet."""
    return await transaction.row(
        "SELECT 1 FROM grants WHERE account_id = ? AND source = 'subscription'"
        " AND amount_nano = ? AND currency = ? AND expires_at_ms > ?",
        (account_id, nano, currency, now_ms)) is not None


async def wrong(transaction: Transaction) -> list[tuple[str, str, int, int]]:
    """(account, currency, what the ledger has as promo, what is left of grants) where they differ.
    """
    rows = await transaction.rows(
        "WITH g AS (SELECT account_id AS owner, currency, SUM(left_nano) AS nano FROM grants"
        "  GROUP BY account_id, currency),"
        " p AS (SELECT owner, currency, balance_nano AS nano FROM ledger_accounts"
        "  WHERE kind = 'promo')"
        " SELECT p.owner, p.currency, p.nano, COALESCE(g.nano, 0) FROM p LEFT JOIN g"
        "  USING (owner, currency) WHERE p.nano <> COALESCE(g.nano, 0)"
        " UNION ALL SELECT g.owner, g.currency, 0, g.nano FROM g LEFT JOIN p"
        "  USING (owner, currency) WHERE p.owner IS NULL AND g.nano <> 0")
    return [(row[0], row[1], row[2], row[3]) for row in rows]


async def insert_code(transaction: Transaction, code: Code, digest: bytes) -> None:
    """Add a code under its keyed hash."""
    await transaction.run(
        "INSERT INTO codes (id, digest, currency, amount_nano, uses_left, created_at_ms,"
        " expires_at_ms, grant_days) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (code.id, digest, *code[1:]))


async def find_code(transaction: Transaction, digest: bytes) -> Code | None:
    """The code with this keyed hash."""
    row = await transaction.row(
        "SELECT id, currency, amount_nano, uses_left, created_at_ms, expires_at_ms, grant_days"
        " FROM codes WHERE digest = ?", (digest,))
    return None if row is None else Code(*row)


async def codes(transaction: Transaction) -> list[Code]:
    """All codes, the newest first."""
    rows = await transaction.rows(
        "SELECT id, currency, amount_nano, uses_left, created_at_ms, expires_at_ms, grant_days"
        " FROM codes ORDER BY id DESC")
    return [Code(*row) for row in rows]


async def use_code(transaction: Transaction, code_id: str, account_id: str, now_ms: int) -> bool:
    """Count a use; False where the account has used it already."""
    added = await transaction.run(
        "INSERT INTO code_uses (code_id, account_id, at_ms) VALUES (?, ?, ?)"
        " ON CONFLICT (code_id, account_id) DO NOTHING", (code_id, account_id, now_ms))
    if added:
        await transaction.run(
            "UPDATE codes SET uses_left = uses_left - 1 WHERE id = ?", (code_id,))
    return added == 1


async def end_code(transaction: Transaction, code_id: str) -> bool:
    """Take what uses a code has left; False where there is no such code."""
    return await transaction.run(
        "UPDATE codes SET uses_left = 0 WHERE id = ?", (code_id,)) == 1
