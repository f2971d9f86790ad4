"""Hourly sums by application, where requests name it, as rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from operator import gt
from typing import Final

import orjson

from relayd.core.attribution import AppKey, Share
from relayd.core.rollup import Sums
from relayd.core.series import Period
from relayd.core.timestamp import HOUR_MS, UNIX_MS_END
from relayd.store.rollup import Difference, adding, differing
from relayd.store.transaction import Transaction

_KEYS: Final = ("hour_ms", "account_id", "key_id", "app", "currency")
_SUMS: Final = Sums._fields
_ADD: Final = adding("app_rollups", _KEYS)
_CHANGED: Final = (
    "SELECT json_extract(details, '$.key') FROM audit_log WHERE action = 'key.change'")
_NOT_ERASED: Final = "account_id NOT IN (SELECT id FROM accounts WHERE state = 'erased')"
# the same rows as `app_rollups`, from the records of keys that have no label, or had none once
_RECOMPUTED: Final = (
    f"SELECT started_at_ms - started_at_ms % {HOUR_MS}, account_id, key_id, app, currency,"
    f" COUNT(*), {', '.join(f'SUM({name})' for name in _SUMS[1:])} FROM call_records"
    " WHERE started_at_ms >= ?1 AND started_at_ms < ?2"
    f" AND app IS NOT NULL AND {_NOT_ERASED} AND (key_id IN"
    f" (SELECT id FROM api_keys WHERE app IS NULL) OR key_id IN ({_CHANGED}))"
    " GROUP BY 1, 2, 3, 4, 5")
_STORED: Final = (
    f"SELECT {', '.join((*_KEYS, *_SUMS))} FROM app_rollups"
    f" WHERE hour_ms >= ?1 AND hour_ms < ?2 AND {_NOT_ERASED}")
_DIFFERENCES: Final = differing(_RECOMPUTED, _STORED)


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


async def differences(
    transaction: Transaction, since_ms: int = 0, until_ms: int = UNIX_MS_END,
) -> list[Difference]:
    """Every hour of [since_ms, until_ms), starts of some, whose stored sums are not what its
    records add up to; reads all those records, and holds their sums in memory.

    Calls of the time when a key had a label are in none of its sums. So of a key that was changed
    once it is known only that its sums are no larger than its records make them.
    """
    rows = await transaction.rows(_DIFFERENCES, (since_ms, until_ms))
    changed = {row[0] for row in await transaction.rows(_CHANGED)}
    width = len(_KEYS)
    has, should = (
        {AppKey(*row[1:width + 1]): Sums(*row[width + 1:]) for row in rows if row[0] == side}
        for side in (1, 0))
    found = [Difference(key, has.get(key), should.get(key)) for key in sorted(has | should)]
    return [each for each in found if each.key.key not in changed or _above(each)]


def _above(found: Difference) -> bool:
    """Whether more is stored than there is."""
    if found.stored is None or found.computed is None:
        return found.stored is not None
    return any(map(gt, found.stored, found.computed))
