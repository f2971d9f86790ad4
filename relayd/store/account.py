"""Accounts as rows."""

from __future__ import annotations

from typing import Final

from relayd.core.account import Account, folded
from relayd.core.errors import RelayError
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


async def find(transaction: Transaction, who: str) -> Account | None:
    """The account with this id or, where `who` holds an @, this e-mail address in any case."""
    if "@" in who:
        row = await transaction.row(f"{_SELECT} WHERE email_folded = ?", (folded(who.strip()),))
    else:
        row = await transaction.row(f"{_SELECT} WHERE id = ?", (who.strip(),))
    return None if row is None else _account(row)


async def get(transaction: Transaction, who: str) -> Account:
    """The same; raises RelayError `account_not_found` where there is none."""
    found = await find(transaction, who)
    if found is None:
        raise RelayError("account_not_found", param="account")
    return found


async def listing(transaction: Transaction) -> list[Account]:
    """All accounts, oldest first."""
    return [_account(row) for row in await transaction.rows(f"{_SELECT} ORDER BY id")]
