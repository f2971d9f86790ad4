"""Consents as rows of a ledger that only grows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import orjson

from relayd.core.consent import Consent, Served
from relayd.store.transaction import Row, Transaction

ROUTED: Final = ("overseas_routes", "training_routes", "app_attribution")
"""The consents that the relay goes by."""
_SELECT: Final = ("SELECT account_id, item, act, document, version, digest, language, channel,"
                  " at_ms FROM consents")


async def insert(transaction: Transaction, consent: Consent) -> None:
    """Add a row."""
    served = consent.served
    await transaction.run(
        "INSERT INTO consents (account_id, item, act, document, version, digest, language,"
        " channel, at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (consent.account_id, consent.item, consent.act, served.document, served.version,
         served.digest, served.lang, served.channel, consent.at_ms))


async def latest_number(transaction: Transaction) -> int:
    """The number of the last row of all."""
    row = await transaction.row("SELECT MAX(number) FROM consents")
    return 0 if row is None else row[0] or 0


async def latest(transaction: Transaction, account_id: str, item: str) -> Consent | None:
    """The last row about an item, if there is one."""
    row = await transaction.row(
        f"{_SELECT} WHERE account_id = ? AND item = ? ORDER BY number DESC LIMIT 1",
        (account_id, item))
    return None if row is None else _consent(row)


async def history(transaction: Transaction, account_id: str) -> list[Consent]:
    """All rows of an account, the oldest first."""
    return [_consent(row) for row in await transaction.rows(
        f"{_SELECT} WHERE account_id = ? ORDER BY number", (account_id,))]


async def holding(
    transaction: Transaction, item: str, version: int, among: Sequence[str] | None = None,
) -> frozenset[str]:
    """The accounts that agreed to an item of `ROUTED`, in this version or a later one: all, or
    those among these."""
    # the item stands in the text, so that the index of its rows alone is taken
    word = f"'{ROUTED[ROUTED.index(item)]}'"
    those = ""
    values: tuple[int | str, ...] = (version,)
    if among is not None:
        those = " AND account_id IN (SELECT value FROM json_each(?))"
        values += (orjson.dumps(among).decode(),)
    rows = await transaction.rows(
        f"SELECT account_id FROM consents c WHERE item = {word} AND act <> 'withdrawn'"
        f" AND version >= ? AND number = (SELECT max(number) FROM consents d"
        f" WHERE d.item = {word} AND d.account_id = c.account_id){those}", values)
    return frozenset(row[0] for row in rows)


async def agreed_to(
    transaction: Transaction, account_id: str, item: str, version: int,
) -> bool:
    """Whether the account ever agreed by itself to this version, or a later one."""
    row = await transaction.row(
        "SELECT 1 FROM consents WHERE account_id = ? AND item = ? AND act = 'explicit'"
        " AND version >= ? LIMIT 1", (account_id, item, version))
    return row is not None


async def delete_of_erased(transaction: Transaction, until_ms: int, most: int) -> int:
    """Delete rows of accounts erased before this moment, `most` at once; returns how many."""
    return await transaction.run(
        "DELETE FROM consents WHERE number IN (SELECT number FROM consents c JOIN accounts a"
        " ON a.id = c.account_id WHERE a.state = 'erased' AND a.state_since_ms < ?"
        " ORDER BY number LIMIT ?)", (until_ms, most))


def _consent(row: Row) -> Consent:
    return Consent(row[0], row[1], row[2], Served(*row[3:8]), row[8])
