"""Notices as rows, and what holders answered to them."""

from __future__ import annotations

from typing import Final

import orjson

from relayd.core.errors import RelayError
from relayd.core.notice import Answer, Notice
from relayd.store.transaction import Row, Transaction

_SELECT: Final = ("SELECT id, kind, fields, starts_at_ms, ends_at_ms, created_at_ms, mailed_to,"
                  " mailed_at_ms FROM notices")


async def insert(transaction: Transaction, notice: Notice) -> None:
    """Add a notice."""
    await transaction.run(
        "INSERT INTO notices (id, kind, fields, starts_at_ms, ends_at_ms, created_at_ms,"
        " mailed_to, mailed_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (notice.id, notice.kind, orjson.dumps(notice.fields).decode(), notice.starts_at_ms,
         notice.ends_at_ms, notice.created_at_ms, notice.mailed_to, notice.mailed_at_ms))


async def get(transaction: Transaction, notice_id: str) -> Notice:
    """The notice. Raises RelayError `notice_not_found`."""
    row = await transaction.row(f"{_SELECT} WHERE id = ?", (notice_id,))
    if row is None:
        raise RelayError("notice_not_found", param="notice")
    return _notice(row)


async def shown(transaction: Transaction, now_ms: int) -> list[Notice]:
    """Those that stand on every page now, the newest first."""
    rows = await transaction.rows(
        f"{_SELECT} WHERE starts_at_ms <= ? AND ends_at_ms > ? ORDER BY id DESC", (now_ms, now_ms))
    return [_notice(row) for row in rows]


async def listing(transaction: Transaction, most: int) -> list[Notice]:
    """All, the newest first."""
    rows = await transaction.rows(f"{_SELECT} ORDER BY id DESC LIMIT ?", (most,))
    return [_notice(row) for row in rows]


async def unmailed(transaction: Transaction, now_ms: int) -> Notice | None:
    """The oldest whose mails are not all queued."""
    row = await transaction.row(
        f"{_SELECT} WHERE mailed_at_ms IS NULL AND starts_at_ms <= ? ORDER BY id LIMIT 1",
        (now_ms,))
    return None if row is None else _notice(row)


async def recipients(
    transaction: Transaction, after: str, created_before_ms: int, most: int,
) -> list[str]:
    """Ids of accounts that can be written to, in their order, from the one after `after`."""
    rows = await transaction.rows(
        "SELECT id FROM accounts WHERE id > ? AND created_at_ms < ?"
        " AND state NOT IN ('unverified', 'erased') ORDER BY id LIMIT ?",
        (after, created_before_ms, most))
    return [row[0] for row in rows]


async def progress(
    transaction: Transaction, notice_id: str, mailed_to: str, mailed_at_ms: int | None,
) -> None:
    """How far the notice's mails are queued; with a time: all of them."""
    await transaction.run(
        "UPDATE notices SET mailed_to = ?, mailed_at_ms = ? WHERE id = ?",
        (mailed_to, mailed_at_ms, notice_id))


async def end(transaction: Transaction, notice_id: str, now_ms: int) -> None:
    """Show it no longer, and queue no more of its mails; one that is over stays as it was."""
    await transaction.run(
        "UPDATE notices SET ends_at_ms = min(ends_at_ms, max(?1, starts_at_ms + 1)),"
        " mailed_at_ms = coalesce(mailed_at_ms, ?1) WHERE id = ?2", (now_ms, notice_id))


async def answer(
    transaction: Transaction, notice_id: str, account_id: str, said: Answer, now_ms: int,
) -> None:
    """A holder's answer, which replaces their earlier one."""
    await transaction.run(
        "INSERT INTO notice_answers (notice_id, account_id, answer, at_ms) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (notice_id, account_id) DO UPDATE SET answer = excluded.answer,"
        " at_ms = excluded.at_ms", (notice_id, account_id, said, now_ms))


async def answered(transaction: Transaction, notice_id: str, account_id: str) -> Answer | None:
    """What the holder answered, if anything."""
    row = await transaction.row(
        "SELECT answer FROM notice_answers WHERE notice_id = ? AND account_id = ?",
        (notice_id, account_id))
    found: Answer | None = None if row is None else row[0]
    return found


def _notice(row: Row) -> Notice:
    return Notice(row[0], row[1], orjson.loads(row[2]), *row[3:])
