"""Abuse: what rules see, gathered from rows, and their findings as rows."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Final

import orjson

from relayd.core.abuse import Finding, State
from relayd.core.errors import RelayError
from relayd.core.rollup import hour_of
from relayd.core.timestamp import DAY_MS, HOUR_MS
from relayd.store.transaction import Row, Transaction

WEEK_MS: Final = 7 * DAY_MS
MONTH_MS: Final = 30 * DAY_MS
_COLUMNS: Final = ("id, account_id, rule, at_ms, figure, bound, suspended, state, decided_at_ms,"
                   " decided_by")

Figures = dict[str, list[int]]
"""Numbers by account id.

The sign in `GROUP BY +account_id` keeps SQLite from reading all rows that there ever were in the
order of accounts, where those of an hour or a week are wanted; the same where there is a state.
"""


async def _by_account(transaction: Transaction, sql: str, values: tuple[int, ...]) -> Figures:
    return {row[0]: [int(value) for value in row[1:]]
            for row in await transaction.rows(sql, values)}


async def calls(transaction: Transaction, now_ms: int) -> Figures:
    """(calls of this hour and the one before, mean of the week's hours with calls)."""
    hour_ms = hour_of(now_ms) - HOUR_MS
    return await _by_account(
        transaction,
        "SELECT account_id, SUM(CASE WHEN hour_ms >= ?1 THEN calls ELSE 0 END),"
        " COALESCE(SUM(CASE WHEN hour_ms < ?1 THEN calls END)"
        " / COUNT(DISTINCT CASE WHEN hour_ms < ?1 THEN hour_ms END), 0)"
        " FROM rollups WHERE hour_ms >= ?2 AND account_id <> ''"
        " GROUP BY +account_id HAVING MAX(hour_ms) >= ?1",
        (hour_ms, hour_ms - WEEK_MS))


async def payments(transaction: Transaction, now_ms: int) -> Figures:
    """(payments, those that failed, those that were returned) of 30 days."""
    return await _by_account(
        transaction,
        "SELECT account_id, COUNT(*), SUM(state = 'failed'), SUM(state IN ('refunded',"
        " 'part_refunded', 'refunding', 'disputed', 'dispute_lost')) FROM orders"
        " WHERE created_at_ms >= ? AND state NOT IN ('created', 'pending', 'expired')"
        " GROUP BY +account_id", (now_ms - MONTH_MS,))


async def wrong_sign_ins(transaction: Transaction, now_ms: int) -> Figures:
    """(wrong passwords and codes,) of the last hour."""
    return await _by_account(
        transaction,
        "SELECT account_id, COUNT(*) FROM sign_ins WHERE at_ms >= ?"
        " AND outcome IN ('wrong_password', 'wrong_code') GROUP BY +account_id",
        (now_ms - HOUR_MS,))


async def owners(transaction: Transaction, keys: Collection[str]) -> dict[str, str]:
    """The account of each of these keys that is not revoked."""
    return dict(await transaction.rows(
        "SELECT id, account_id FROM api_keys WHERE state = 'active'"
        " AND id IN (SELECT value FROM json_each(?))", (orjson.dumps(list(keys)).decode(),)))


async def made_since(transaction: Transaction, since_ms: int) -> list[str]:
    """Ids of accounts that were made since then and can be used."""
    rows = await transaction.rows(
        "SELECT id FROM accounts WHERE created_at_ms >= ? AND +state IN ('unverified', 'active')",
        (since_ms,))
    return [row[0] for row in rows]


async def judged(
    transaction: Transaction, since_ms: int, account: str | None = None
) -> set[tuple[str, str]]:
    """(account, rule) of findings that are open or confirmed, or were decided on since then: of
    all accounts, or of one."""
    rows = await transaction.rows(
        "SELECT account_id, rule FROM abuse_findings WHERE (state <> 'lifted'"
        " OR decided_at_ms >= ?1) AND (?2 IS NULL OR account_id = ?2)", (since_ms, account))
    return {(row[0], row[1]) for row in rows}


async def suspended_since(transaction: Transaction, account: str, at_ms: int) -> bool:
    """Whether an account was suspended once more after a moment."""
    return await transaction.row(
        "SELECT 1 FROM audit_log WHERE target = ? AND action = 'account.suspend' AND at_ms > ?"
        " LIMIT 1", (account, at_ms)) is not None


async def insert(transaction: Transaction, finding: Finding) -> None:
    """Add a finding."""
    await transaction.run(
        f"INSERT INTO abuse_findings ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (finding.id, finding.account, finding.rule, finding.at_ms, finding.figure, finding.bound,
         finding.suspended, finding.state, finding.decided_at_ms, finding.decided_by))


async def update(transaction: Transaction, finding: Finding) -> None:
    """Write what was decided on it."""
    await transaction.run(
        "UPDATE abuse_findings SET state = ?, decided_at_ms = ?, decided_by = ? WHERE id = ?",
        (finding.state, finding.decided_at_ms, finding.decided_by, finding.id))


def _finding(row: Row) -> Finding:
    found = Finding(*row)
    return replace(found, suspended=bool(found.suspended))


async def get(transaction: Transaction, finding_id: str) -> Finding:
    """The finding of this id; raises RelayError `finding_not_found`."""
    row = await transaction.row(
        f"SELECT {_COLUMNS} FROM abuse_findings WHERE id = ?", (finding_id.strip(),))
    if row is None:
        raise RelayError("finding_not_found", param="finding")
    return _finding(row)


async def listing(
    transaction: Transaction, *, state: State | None = None, account: str | None = None
) -> list[Finding]:
    """Findings, the latest first."""
    rows = await transaction.rows(
        f"SELECT {_COLUMNS} FROM abuse_findings WHERE (?1 IS NULL OR state = ?1)"
        " AND (?2 IS NULL OR account_id = ?2) ORDER BY at_ms DESC, id DESC LIMIT 10000",
        (state, account))
    return [_finding(row) for row in rows]
