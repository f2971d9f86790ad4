"""Counters of the store itself; `policy_version` counts changes of accounts and keys.

Law: whoever changes policy bumps the version in the same transaction, so a reader that sees an
unchanged version has seen every change.
"""

from __future__ import annotations

from relayd.store.transaction import Transaction


async def policy_version(transaction: Transaction) -> int:
    """The present version; it only grows."""
    row = await transaction.row("SELECT value FROM counters WHERE name = 'policy_version'")
    if row is None:
        raise AssertionError("the first migration makes this row")
    return int(row[0])


async def bump_policy_version(transaction: Transaction) -> None:
    """Say that accounts or keys change in this transaction."""
    await transaction.run("UPDATE counters SET value = value + 1 WHERE name = 'policy_version'")
