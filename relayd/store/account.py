"""Accounts as rows: who it is sealed under its own data key, found by keyed hashes."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import orjson

from relayd.core.account import Account, folded
from relayd.core.errors import RelayError
from relayd.store.directory import StoreError
from relayd.store.seal import UNREADABLE
from relayd.store.transaction import Row, Transaction

_TABLE: Final = "accounts"
_SELECT: Final = (
    "SELECT id, email, name, state, created_at_ms, username, state_since_ms, reason, language,"
    " country FROM accounts"
)


def _account(transaction: Transaction, row: Row) -> Account:
    values = list(row)
    for place, column in ((1, "email"), (2, "name"), (5, "username")):
        values[place] = transaction.unseal(row[0], _TABLE, column, row[0], row[place])
    return Account(*values)


def _personal(transaction: Transaction, account: Account) -> Row:
    """The columns that are sealed, each after the keyed hash that it is found by."""
    email, username = account.email, account.username

    def sealed(column: str, text: str | None) -> bytes | None:
        return transaction.seal(account.id, _TABLE, column, account.id, text)

    return (
        None if email is None else transaction.blind("email", folded(email)),
        sealed("email", email),
        None if username is None else transaction.blind("username", folded(username)),
        sealed("username", username),
        sealed("name", account.name),
    )


async def insert(transaction: Transaction, account: Account) -> None:
    """Add an account. The caller has looked for another with the same e-mail address."""
    await transaction.sealer.keyring.make(account.id)
    await transaction.run(
        "INSERT INTO accounts (email_index, email, username_index, username, name, id, state,"
        " state_since_ms, reason, language, country, created_at_ms)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*_personal(transaction, account), account.id, account.state, account.state_since_ms,
         account.reason, account.language, account.country, account.created_at_ms),
    )


async def update(transaction: Transaction, account: Account) -> None:
    """Write every column of the account with this id."""
    await transaction.run(
        "UPDATE accounts SET email_index = ?, email = ?, username_index = ?, username = ?,"
        " name = ?, state = ?, state_since_ms = ?, reason = ?, language = ?, country = ?"
        " WHERE id = ?",
        (*_personal(transaction, account), account.state, account.state_since_ms, account.reason,
         account.language, account.country, account.id),
    )


async def set_state(transaction: Transaction, account: Account) -> None:
    """Write its state, since when and why alone: also of one that can be read no more."""
    await transaction.run(
        "UPDATE accounts SET state = ?, state_since_ms = ?, reason = ? WHERE id = ?",
        (account.state, account.state_since_ms, account.reason, account.id))


async def free_username(transaction: Transaction, account_id: str) -> None:
    """Take an account's username, for somebody else to have."""
    await transaction.run(
        "UPDATE accounts SET username_index = NULL, username = NULL WHERE id = ?", (account_id,))


async def _row(transaction: Transaction, who: str) -> Row | None:
    if "@" in who:
        return await transaction.row(
            f"{_SELECT} WHERE email_index = ?", (transaction.blind("email", folded(who.strip())),))
    return await transaction.row(f"{_SELECT} WHERE id = ?", (who.strip(),))


async def find(transaction: Transaction, who: str) -> Account | None:
    """The account with this id or, where `who` holds an @, this e-mail address in any case."""
    row = await _row(transaction, who)
    return None if row is None else _account(transaction, row)


async def named(transaction: Transaction, username: str) -> Account | None:
    """The account with this username, in any case, as `known` has it."""
    row = await transaction.row(
        f"{_SELECT} WHERE username_index = ?",
        (transaction.blind("username", folded(username.strip())),))
    return None if row is None else _bare(transaction, row)


async def get(transaction: Transaction, who: str) -> Account:
    """The same; raises RelayError `account_not_found` where there is none."""
    found = await find(transaction, who)
    if found is None:
        raise RelayError("account_not_found", param="account")
    return found


async def known(transaction: Transaction, who: str) -> Account:
    """The same for who does something to the account that takes none of what is sealed: where
    that can be read no more, it is there without."""
    found = await holding(transaction, who)
    if found is None:
        raise RelayError("account_not_found", param="account")
    return found


async def holding(transaction: Transaction, who: str) -> Account | None:
    """The same for who asks whether there is one."""
    row = await _row(transaction, who)
    return None if row is None else _bare(transaction, row)


async def readable(transaction: Transaction, who: str) -> Account | None:
    """The same for who does something to many, whom one that can be read no more keeps from no
    other; None for such a one, and where there is none."""
    try:
        return await find(transaction, who)
    except StoreError as error:
        if error.code not in UNREADABLE:
            raise
        return None


async def page(transaction: Transaction, after_id: str, most: int) -> list[Account]:
    """At most `most` accounts, oldest first, from behind an id, each as `known` has it."""
    return [_bare(transaction, row) for row in await transaction.rows(
        f"{_SELECT} WHERE id > ? ORDER BY id LIMIT ?", (after_id, most))]


async def names(transaction: Transaction, ids: Collection[str]) -> dict[str, str]:
    """The names of those of these accounts that have one, by id."""
    rows = await transaction.rows(
        f"{_SELECT} WHERE id IN (SELECT value FROM json_each(?))",
        (orjson.dumps(list(ids)).decode(),))
    found = [_bare(transaction, row) for row in rows]
    return {each.id: each.name for each in found if each.name}


def _bare(transaction: Transaction, row: Row) -> Account:
    try:
        return _account(transaction, row)
    except StoreError as error:
        if error.code not in UNREADABLE:
            raise
        return _account(transaction, (*row[:1], None, None, *row[3:5], None, *row[6:]))


async def terminated(
    transaction: Transaction, before_ms: int, after_id: str, most: int
) -> list[str]:
    """Accounts after this id that were terminated before a moment, and of which no erasure was
    asked for since that moment."""
    rows = await transaction.rows(
        "SELECT id FROM accounts AS a WHERE state = 'terminated' AND state_since_ms <= ?1"
        " AND id > ?2 AND NOT EXISTS (SELECT 1 FROM erasures AS e WHERE e.account_id = a.id"
        " AND (e.asked_at_ms > ?1 OR e.state = 'cooling')) ORDER BY id LIMIT ?3",
        (before_ms, after_id, most))
    return [row[0] for row in rows]


async def counts(transaction: Transaction) -> dict[str, int]:
    """How many accounts are in each state that any is in."""
    return dict(await transaction.rows("SELECT state, COUNT(*) FROM accounts GROUP BY state"))
