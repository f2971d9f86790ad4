"""Enterprise profiles as rows, sealed under their account's key."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final, NamedTuple

import orjson

from relayd.core.enterprise import Enterprise
from relayd.store.transaction import Row, Transaction

_TABLE: Final = "enterprises"


class Marked(NamedTuple):
    """An account that is marked as an enterprise's; `profile` None: it has said nothing yet."""

    account: str
    marked_at_ms: int
    changed_at_ms: int
    profile: Enterprise | None


def _marked(transaction: Transaction, row: Row) -> Marked:
    text = transaction.unseal(row[0], _TABLE, "profile", row[0], row[3])
    profile = None if text is None else Enterprise(**orjson.loads(text))
    return Marked(row[0], row[1], row[2], profile)


async def find(transaction: Transaction, account: str) -> Marked | None:
    """Whether an account is an enterprise's, and what it said; None: it is not."""
    row = await transaction.row(
        "SELECT account_id, marked_at_ms, changed_at_ms, profile FROM enterprises"
        " WHERE account_id = ?", (account,))
    return None if row is None else _marked(transaction, row)


async def mark(transaction: Transaction, account: str, now_ms: int) -> None:
    """It is an enterprise's; what it said stays."""
    await transaction.run(
        "INSERT INTO enterprises (account_id, marked_at_ms, changed_at_ms) VALUES (?1, ?2, ?2)"
        " ON CONFLICT (account_id) DO NOTHING", (account, now_ms))


async def unmark(transaction: Transaction, account: str) -> None:
    """It is none, and what it said is gone."""
    await transaction.run("DELETE FROM enterprises WHERE account_id = ?", (account,))


async def put(
    transaction: Transaction, account: str, profile: Enterprise | None, now_ms: int
) -> None:
    """Write what a marked account says of itself."""
    text = None if profile is None else orjson.dumps(asdict(profile)).decode()
    await transaction.run(
        "UPDATE enterprises SET profile = ?, changed_at_ms = ? WHERE account_id = ?",
        (transaction.seal(account, _TABLE, "profile", account, text), now_ms, account))
