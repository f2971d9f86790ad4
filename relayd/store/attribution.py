"""Hourly sums by application, where requests name it, as rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import orjson

from relayd.core.attribution import AppKey, Share
from relayd.core.rollup import Sums
from relayd.core.series import Period
from relayd.store.transaction import Transaction

_KEYS: Final = ("hour_ms", "account_id", "key_id", "app", "currency")
_SUMS: Final = Sums._fields
_ADD: Final = (
    f"INSERT INTO app_rollups ({', '.join((*_KEYS, *_SUMS))})"
    f" VALUES ({', '.join('?' * (len(_KEYS) + len(_SUMS)))})"
    f" ON CONFLICT ({', '.join(_KEYS)}) DO UPDATE SET "
    + ", ".join(f"{name} = app_rollups.{name} + excluded.{name}" for name in _SUMS))


async def unlabelled(transaction: Transaction, keys: Collection[str]) -> frozenset[str]:
    """Those of these keys that have no label of their own."""
    rows = await transaction.rows(
        "SELECT id FROM api_keys WHERE app IS NULL AND id IN (SELECT value FROM json_each(?))",
        (orjson.dumps(sorted(keys)).decode(),))
    return frozenset(row[0] for row in rows)


async def add(transaction: Transaction, sums: Mapping[AppKey, Sums]) -> None:
    """Add sums to those that are stored."""
    if sums:
        transaction.later(_ADD, [(*key, *value) for key, value in sums.items()])


async def shares(transaction: Transaction, account: str, wanted: Period) -> list[Share]:
    """The sums of each step, key, application and currency; of keys without a label alone."""
    rows = await transaction.rows(
        "SELECT hour_ms - hour_ms % ?, key_id, a.app, currency, "
        + ", ".join(f"SUM({name})" for name in _SUMS)
        + " FROM app_rollups AS a JOIN api_keys AS k ON k.id = key_id AND k.app IS NULL"
        " WHERE a.account_id = ? AND hour_ms >= ? AND hour_ms < ? GROUP BY 1, 2, 3, 4",
        (wanted.step_ms, account, wanted.since_ms, wanted.until_ms))
    return [Share(at_ms, key, app, currency, Sums(*sums))
            for at_ms, key, app, currency, *sums in rows]


async def delete_before(transaction: Transaction, until_ms: int, most: int) -> int:
    """Delete the sums of hours before a moment, `most` at once; returns how many."""
    return await transaction.run(
        "DELETE FROM app_rollups WHERE (account_id, hour_ms, key_id, app, currency) IN"
        " (SELECT account_id, hour_ms, key_id, app, currency FROM app_rollups"
        " WHERE hour_ms < ? LIMIT ?)", (until_ms, most))
