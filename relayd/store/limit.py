"""Limits of an account's or a key's own as rows, and what accounts have spent.

Law: a limit without a row follows the configuration; a row of 0 says that there is none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from typing import Any, Final, Literal

import orjson

from relayd.core.budget import Spent, SpentRow
from relayd.core.limit import AMOUNTS
from relayd.store.transaction import Transaction

Owner = Literal["account", "key"]
Own = dict[str, dict[str, int]]
"""Limits by name, by the owner's id."""

_IDS_AT_ONCE: Final = 500
_MARKS: Final = ", ".join("?" * len(AMOUNTS))


async def get(transaction: Transaction, owner: Owner, owner_id: str) -> dict[str, int]:
    """An owner's own limits by name."""
    return dict(await transaction.rows(
        f"SELECT name, value FROM {owner}_limits WHERE {owner}_id = ? ORDER BY name",
        (owner_id,)))


async def put(
    transaction: Transaction, owner: Owner, owner_id: str, limits: Mapping[str, int]
) -> None:
    """Makes these the owner's own limits, and no others."""
    await transaction.run(f"DELETE FROM {owner}_limits WHERE {owner}_id = ?", (owner_id,))
    await transaction.many(
        f"INSERT INTO {owner}_limits ({owner}_id, name, value) VALUES (?, ?, ?)",
        [(owner_id, name, value) for name, value in limits.items()])


async def of_keys(transaction: Transaction, account_id: str) -> Own:
    """The own limits of those of an account's keys that have any."""
    found: Own = defaultdict(dict)
    for key_id, name, value in await transaction.rows(
            "SELECT key_id, name, value FROM key_limits WHERE key_id IN"
            " (SELECT id FROM api_keys WHERE account_id = ?)", (account_id,)):
        found[key_id][name] = value
    return dict(found)


async def of_working_keys(transaction: Transaction, accounts: Sequence[str]) -> Own:
    """The same of these accounts' keys that are not revoked."""
    found: Own = defaultdict(dict)
    for key_id, name, value in await transaction.rows(
            "SELECT key_id, name, value FROM key_limits WHERE key_id IN (SELECT id FROM api_keys"
            " WHERE state = 'active' AND account_id IN (SELECT value FROM json_each(?)))",
            (orjson.dumps(accounts).decode(),)):
        found[key_id][name] = value
    return dict(found)


async def everybody(
    transaction: Transaction, owner: Owner, among: Sequence[str] | None = None,
) -> Own:
    """The own limits of all who have any, or of those among these."""
    found: Own = defaultdict(dict)
    sql = f"SELECT {owner}_id, name, value FROM {owner}_limits"
    values: tuple[str, ...] = ()
    if among is not None:
        sql += f" WHERE {owner}_id IN (SELECT value FROM json_each(?))"
        values = (orjson.dumps(among).decode(),)
    async for rows in transaction.batches(sql, values):
        for owner_id, name, value in rows:
            found[owner_id][name] = value
    return dict(found)


async def budgeted(transaction: Transaction) -> bool:
    """Whether any account or key has a budget of its own."""
    names = sorted(AMOUNTS)
    return await transaction.row(
        f"SELECT 1 FROM account_limits WHERE value > 0 AND name IN ({_MARKS})"
        f" UNION ALL SELECT 1 FROM key_limits WHERE value > 0 AND name IN ({_MARKS}) LIMIT 1",
        [*names, *names]) is not None


async def spent(
    transaction: Transaction, accounts: Sequence[str] | None, month_ms: int, day_ms: int
) -> dict[str, list[SpentRow]]:
    """What accounts (None: all) spent since the month began, by key and model."""
    where = "hour_ms >= ?"
    values: list[Any] = [day_ms, month_ms]
    if accounts is not None:
        where += f" AND account_id IN ({', '.join('?' * len(accounts))})"
        values += accounts
    found: dict[str, list[SpentRow]] = defaultdict(list)
    async for rows in transaction.batches(
        "SELECT account_id, key_id, model,"
        " SUM(CASE WHEN hour_ms >= ? THEN amount_nano ELSE 0 END), SUM(amount_nano)"
        f" FROM rollups WHERE {where} AND amount_nano > 0"
        " GROUP BY account_id, key_id, model", values,
    ):
        for account, key, model, day_nano, month_nano in rows:
            found[account].append(SpentRow(key, model, Spent(day_nano, month_nano)))
    return dict(found)


async def known(transaction: Transaction, calls: Collection[tuple[int, str]]) -> set[str]:
    """Which of these calls, as (start in Unix ms, id), have a record."""
    pairs = list(calls)
    found: set[str] = set()
    for start in range(0, len(pairs), _IDS_AT_ONCE):
        part = pairs[start:start + _IDS_AT_ONCE]
        marks = ", ".join(["(?, ?)"] * len(part))
        rows = await transaction.rows(
            f"SELECT id FROM call_records WHERE (started_at_ms, id) IN (VALUES {marks})",
            list(chain.from_iterable(part)))
        found.update(call_id for call_id, in rows)
    return found
