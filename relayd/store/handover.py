"""Handovers of the business as rows, and which accounts go along."""

from __future__ import annotations

from typing import Final

from relayd.core.errors import RelayError
from relayd.core.handover import GOES_ALONG, WINDOW_MS_MIN, Handover
from relayd.store.transaction import Transaction

_COLUMNS: Final = (
    "id, notice_id, state, recipient, contact, new_purposes, announced_at_ms, window_ends_ms,"
    " bundled_at_ms, accounts, bundle_sha256"
)


async def insert(transaction: Transaction, handover: Handover) -> None:
    """Add a handover whose notice is there."""
    await transaction.run(
        f"INSERT INTO handovers ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL)",
        (handover.id, handover.notice, handover.state, handover.recipient, handover.contact,
         handover.new_purposes, handover.announced_at_ms, handover.window_ends_ms))


async def update(transaction: Transaction, handover: Handover) -> None:
    """Write what can change of a handover."""
    await transaction.run(
        "UPDATE handovers SET state = ?, bundled_at_ms = ?, accounts = ?, bundle_sha256 = ?"
        " WHERE id = ?",
        (handover.state, handover.bundled_at_ms, handover.accounts, handover.bundle_sha256,
         handover.id))


async def listing(transaction: Transaction) -> list[Handover]:
    """All handovers, newest first."""
    rows = await transaction.rows(f"SELECT {_COLUMNS} FROM handovers ORDER BY id DESC")
    return [Handover(hand, notice, state, name, contact, bool(new), *rest)
            for hand, notice, state, name, contact, new, *rest in rows]


async def get(transaction: Transaction, handover_id: str) -> Handover:
    """The handover with this id. Raises `handover_not_found`."""
    for each in await listing(transaction):
        if each.id == handover_id.strip():
            return each
    raise RelayError("handover_not_found", param="handover")


async def stands_on(transaction: Transaction, notice_id: str) -> bool:
    """Whether a handover that is announced is announced by this notice."""
    return await transaction.row(
        "SELECT 1 FROM handovers WHERE notice_id = ? AND state = 'announced'",
        (notice_id,)) is not None


async def unsent(transaction: Transaction, handover: Handover) -> int:
    """How many of the notice's mails are not out yet; 1 more while some are not even queued."""
    row = await transaction.row(
        "SELECT (SELECT COUNT(*) FROM outbox WHERE kind = 'transfer_notice' AND state = 'queued')"
        " + (SELECT mailed_at_ms IS NULL FROM notices WHERE id = ?)", (handover.notice,))
    return 1 if row is None or row[0] is None else int(row[0])


async def going(transaction: Transaction, handover: Handover) -> list[str]:
    """The ids of the accounts that go along: of a fit state, without an objection, and there for
    so long that their owners had the least time to object."""
    marks = ", ".join("?" * len(GOES_ALONG))
    rows = await transaction.rows(
        f"SELECT id FROM accounts WHERE state IN ({marks}) AND created_at_ms <= ? AND id NOT IN"
        " (SELECT account_id FROM notice_answers WHERE notice_id = ? AND answer = 'objected')"
        " ORDER BY id",
        (*sorted(GOES_ALONG), max(handover.announced_at_ms,
                                  handover.window_ends_ms - WINDOW_MS_MIN), handover.notice))
    return [row[0] for row in rows]
