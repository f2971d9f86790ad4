"""Roles of operators as rows, and their leave to see somebody's personal data for a while."""

from __future__ import annotations

from relayd.core.actor import Role
from relayd.store.transaction import Transaction


async def give(
    transaction: Transaction, account_id: str, role: Role, by: str | None, now_ms: int
) -> bool:
    """Give a role; False where the account has it."""
    return await transaction.run(
        "INSERT INTO account_roles (account_id, role, given_at_ms, given_by) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (account_id, role) DO NOTHING", (account_id, role, now_ms, by)) == 1


async def take(transaction: Transaction, account_id: str, role: Role) -> bool:
    """Take a role; False where the account has it not."""
    return await transaction.run(
        "DELETE FROM account_roles WHERE account_id = ? AND role = ?", (account_id, role)) == 1


async def of_account(transaction: Transaction, account_id: str) -> frozenset[Role]:
    """The roles of an account."""
    rows = await transaction.rows(
        "SELECT role FROM account_roles WHERE account_id = ?", (account_id,))
    return frozenset(row[0] for row in rows)


async def listing(transaction: Transaction) -> list[tuple[str, Role, int]]:
    """(account, role, when it was given) of all operators."""
    rows = await transaction.rows(
        "SELECT account_id, role, given_at_ms FROM account_roles ORDER BY account_id, role")
    return [(row[0], row[1], row[2]) for row in rows]


async def reveal(
    transaction: Transaction, operator_id: str, account_id: str, until_ms: int
) -> None:
    """Let an operator see an account's personal data until a moment."""
    await transaction.run(
        "INSERT INTO reveals (operator_id, account_id, until_ms) VALUES (?, ?, ?)"
        " ON CONFLICT (operator_id, account_id) DO UPDATE SET until_ms = excluded.until_ms",
        (operator_id, account_id, until_ms))


async def revealed(
    transaction: Transaction, operator_id: str, account_id: str, now_ms: int
) -> bool:
    """Whether an operator may see an account's personal data now."""
    row = await transaction.row(
        "SELECT 1 FROM reveals WHERE operator_id = ? AND account_id = ? AND until_ms > ?",
        (operator_id, account_id, now_ms))
    return row is not None


async def sweep_reveals(transaction: Transaction, now_ms: int) -> int:
    """Forget leaves that are over."""
    return await transaction.run("DELETE FROM reveals WHERE until_ms <= ?", (now_ms,))
