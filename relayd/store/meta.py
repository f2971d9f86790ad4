"""What the store knows of itself: `policy_version` counts changes of accounts and keys, `swept_ms`
says from when on call records are kept, words say what was told of its other files.

Law: whoever changes policy bumps the version in the same transaction, so a reader that sees an
unchanged version has seen every change. Both numbers only grow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from relayd.store.transaction import Transaction

KEPT_VERSIONS: Final = 10_000
"""Versions of the policy whose changes are kept: hours, for a relay that reads each at once."""


class PolicyChanges(NamedTuple):
    """Accounts that changed themselves, so that all their keys did, and keys that changed;
    `owners`: the accounts of both."""

    accounts: Sequence[str]
    keys: Sequence[str]
    owners: Sequence[str]


async def policy_version(transaction: Transaction) -> int:
    """The present version; it only grows."""
    row = await transaction.row("SELECT value FROM counters WHERE name = 'policy_version'")
    if row is None:
        raise AssertionError("the first migration makes this row")
    return int(row[0])


async def bump_policy_version(transaction: Transaction) -> None:
    """Say that accounts or keys change in this transaction; triggers keep which ones."""
    await transaction.run("UPDATE counters SET value = value + 1 WHERE name = 'policy_version'")
    await transaction.run(
        "DELETE FROM policy_changes WHERE version <="
        " (SELECT value - ? FROM counters WHERE name = 'policy_version')", (KEPT_VERSIONS,))


async def policy_changes(
    transaction: Transaction, since: int, version: int, most: int
) -> PolicyChanges | None:
    """What changed after version `since`, up to the present `version`; None where that is more
    than `most`, or not known: then everything may have."""
    if not 0 <= version - since <= KEPT_VERSIONS:
        return None
    rows = await transaction.rows(
        "SELECT DISTINCT account_id, key_id FROM policy_changes WHERE version > ? LIMIT ?",
        (since, most + 1))
    if len(rows) > most:
        return None
    return PolicyChanges([account for account, key in rows if not key],
                         [key for _, key in rows if key], sorted({row[0] for row in rows}))


async def swept_ms(transaction: Transaction) -> int:
    """Records of calls that started before this moment may be gone; 0: all are there."""
    row = await transaction.row("SELECT value FROM counters WHERE name = 'swept_ms'")
    return 0 if row is None else int(row[0])


async def set_swept_ms(transaction: Transaction, moment_ms: int) -> None:
    """Say that records from before this moment are deleted in this transaction or after it."""
    await transaction.run(
        "INSERT INTO counters (name, value) VALUES ('swept_ms', ?)"
        " ON CONFLICT (name) DO UPDATE SET value = MAX(value, excluded.value)", (moment_ms,))


Word = Literal["master_mark", "master_rotator", "restored"]
"""`master_mark`: of the master key that the audit log knows of; `master_rotator`: who set out to
have another one; `restored`: what a restore did that the audit log does not know of."""


async def word(transaction: Transaction, name: Word) -> str | None:
    """What is kept under this name."""
    row = await transaction.row("SELECT value FROM meta WHERE name = ?", (name,))
    return None if row is None else str(row[0])


async def set_word(transaction: Transaction, name: Word, value: str | None) -> None:
    """Keep this under the name; None: nothing any more."""
    if value is None:
        await transaction.run("DELETE FROM meta WHERE name = ?", (name,))
        return
    await transaction.run(
        "INSERT INTO meta (name, value) VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value", (name, value))
