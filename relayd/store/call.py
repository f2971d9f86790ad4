"""Calls as their owner looks for them: call records, newest first.

Law: the records have no index by account, so they are looked for in the hours in which the rollups
say that there are any; each hour is read by itself.
"""

from __future__ import annotations

from typing import Any, Final

from relayd.core.call import Brief, CallSearch, Place
from relayd.core.record import CallRecord
from relayd.core.timestamp import HOUR_MS
from relayd.store.record import NAMES, record_of
from relayd.store.transaction import Row, Transaction

_LATEST: Final = "started_at_ms DESC, id DESC"


def _narrowed(search: CallSearch, *columns: str) -> tuple[str, list[Any]]:
    """SQL for those of the searched values that these columns hold."""
    wanted = {"key_id": search.key, "model": search.model, "outcome": search.outcome}
    given = [(name, wanted[name]) for name in columns if wanted[name] is not None]
    return "".join(f" AND {name} = ?" for name, _ in given), [value for _, value in given]


async def hours(transaction: Transaction, search: CallSearch, most: int) -> list[int]:
    """The latest `most` hours in which there may be wanted calls, latest first."""
    sql, values = _narrowed(search, "key_id", "model")
    rows = await transaction.rows(
        "SELECT DISTINCT hour_ms FROM rollups WHERE account_id = ? AND hour_ms > ?"
        f" AND hour_ms < ?{sql} ORDER BY hour_ms DESC LIMIT ?",
        (search.account, search.since_ms - HOUR_MS, search.until_ms, *values, most))
    return [hour_ms for hour_ms, in rows]


async def _in_hour(
    transaction: Transaction, names: str, search: CallSearch, hour_ms: int,
    before: Place | None, most: int,
) -> list[Row]:
    sql, values = _narrowed(search, "key_id", "model", "outcome")
    since_ms = max(hour_ms, search.since_ms)
    until_ms = min(hour_ms + HOUR_MS, search.until_ms)
    if before is not None:
        sql += " AND (started_at_ms, id) < (?, ?)"
        values += before
        # or SQLite begins at the hour's last call, page after page
        until_ms = min(until_ms, before.started_at_ms + 1)
    return await transaction.rows(
        f"SELECT {names} FROM call_records WHERE started_at_ms >= ? AND started_at_ms < ?"
        f" AND account_id = ?{sql} ORDER BY {_LATEST} LIMIT ?",
        (since_ms, until_ms, search.account, *values, most))


async def latest(
    transaction: Transaction, search: CallSearch, hour_ms: int, before: Place | None, most: int
) -> list[CallRecord]:
    """At most `most` wanted calls of one hour, latest first, from before a place on."""
    rows = await _in_hour(transaction, NAMES, search, hour_ms, before, most)
    return [record_of(row) for row in rows]


async def briefs(
    transaction: Transaction, search: CallSearch, hour_ms: int, most: int
) -> list[Brief]:
    """How the latest wanted calls of one hour went."""
    rows = await _in_hour(transaction, "outcome, first_byte_ms", search, hour_ms, None, most)
    return [Brief(*row) for row in rows]


async def one(transaction: Transaction, account: str, place: Place) -> CallRecord | None:
    """The account's call at this place."""
    row = await transaction.row(
        f"SELECT {NAMES} FROM call_records WHERE started_at_ms = ? AND id = ?"
        " AND account_id = ?", (*place, account))
    return None if row is None else record_of(row)


async def last_used(transaction: Transaction, account: str) -> dict[str, int]:
    """The start of the last hour in which each of the account's keys was used."""
    rows = await transaction.rows(
        "SELECT key_id, MAX(hour_ms) FROM rollups WHERE account_id = ? GROUP BY key_id",
        (account,))
    return dict(rows)
