"""Accounts as rows."""

from __future__ import annotations

from typing import Final

from relayd.core.account import Account, folded
from relayd.store.transaction import Row, Transaction

_SELECT: Final = "SELECT id, email, name, state, created_at_ms FROM accounts"


def _account(row: Row) -> Account:
    return Account(*row)


def _folded(account: Account) -> str | None:
    return None if account.email is None else folded(account.email)


async def insert(transaction: Transaction, account: Account) -> None:
    """Add an account. The caller has looked for another with the same e-mail address."""
    await transaction.run(
        "INSERT INTO accounts (id, email, email_folded, name, state, created_at_ms)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (account.id, account.email, _folded(account), account.name, account.state,
         account.created_at_ms),
    )


async def update(transaction: Transaction, account: Account) -> None:
    """Write every column of the account with this id."""
    await transaction.run(
        "UPDATE accounts SET email = ?, email_folded = ?, name = ?, state = ? WHERE id = ?",
        (account.email, _folded(account), account.name, account.state, account.id),
    )


async def find(transaction: Transaction, account_id: str) -> Account | None:
    """The account with this id."""
    row = await transaction.row(f"{_SELECT} WHERE id = ?", (account_id,))
    return None if row is None else _account(row)


async def find_by_email(transaction: Transaction, email: str) -> Account | None:
    """The account with this e-mail address, in any case."""
    row = await transaction.row(f"{_SELECT} WHERE email_folded = ?", (folded(email),))
    return None if row is None else _account(row)


async def listing(transaction: Transaction) -> list[Account]:
    """All accounts, oldest first."""
    return [_account(row) for row in await transaction.rows(f"{_SELECT} ORDER BY id")]
