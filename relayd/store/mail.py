"""The outbox as rows: mails that wait, and that a mail of some kind was sent.

Law: the recipient and the fields are sealed, and deleted with the last attempt that succeeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson

from relayd.core.errors import RelayError
from relayd.core.mail import RETRY_MOST_MS, MailClass, MailState
from relayd.store.transaction import Row, Transaction

_TABLE: Final = "outbox"
_SELECT: Final = (
    "SELECT id, owner, account_id, kind, class, language, state, attempts, outcome, queued_at_ms,"
    " next_at_ms, ended_at_ms, recipient, fields FROM outbox")


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail without what it says. `owner` has the data key of what it says."""

    id: str
    owner: str
    account_id: str | None
    kind: str
    mail_class: MailClass
    language: str
    state: MailState
    attempts: int
    outcome: str | None
    queued_at_ms: int
    next_at_ms: int
    ended_at_ms: int | None


@dataclass(frozen=True, slots=True)
class Letter:
    """What a mail says, and to whom. Never in a repr."""

    recipient: str = field(repr=False)
    fields: dict[str, str] = field(repr=False)


async def insert(transaction: Transaction, mail: Mail, letter: Letter) -> None:
    """Add a mail that is to be sent."""
    recipient = transaction.seal(mail.owner, _TABLE, "recipient", mail.id, letter.recipient)
    fields = transaction.seal(
        mail.owner, _TABLE, "fields", mail.id, orjson.dumps(letter.fields).decode())
    await transaction.run(
        "INSERT INTO outbox (id, owner, account_id, kind, class, language, state, attempts,"
        " queued_at_ms, next_at_ms, recipient, fields)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (mail.id, mail.owner, mail.account_id, mail.kind, mail.mail_class, mail.language,
         mail.state, mail.attempts, mail.queued_at_ms, mail.next_at_ms, recipient, fields))


async def claim(
    transaction: Transaction, now_ms: int, until_ms: int, most: int,
) -> list[tuple[Mail, Row]]:
    """Mails whose time has come, and their sealed columns for `letter`.

    They are nobody else's until `until_ms`. A time that is further off than any wait is one of a
    clock that was ahead.
    """
    rows = await transaction.rows(
        f"{_SELECT} WHERE state = 'queued' AND next_at_ms NOT BETWEEN ? AND ?"
        " ORDER BY next_at_ms, rowid LIMIT ?", (now_ms + 1, now_ms + RETRY_MOST_MS, most))
    await transaction.many(
        "UPDATE outbox SET next_at_ms = ?1, claimed_until_ms = ?1 WHERE id = ?2",
        [(until_ms, row[0]) for row in rows])
    return [(_mail(row), row[12:]) for row in rows]


async def release(
    transaction: Transaction, mail_ids: Sequence[str], until_ms: int, now_ms: int,
) -> None:
    """Mails that were claimed until `until_ms` and not tried: whoever looks next may have them."""
    await transaction.many(
        "UPDATE outbox SET next_at_ms = ?, claimed_until_ms = NULL"
        " WHERE id = ? AND state = 'queued' AND claimed_until_ms = ?",
        [(now_ms, mail_id, until_ms) for mail_id in mail_ids])


def letter(transaction: Transaction, mail: Mail, sealed: Row) -> Letter | None:
    """What a mail says; None once that is deleted. Raises StoreError `data_key_gone`."""
    recipient = transaction.unseal(mail.owner, _TABLE, "recipient", mail.id, sealed[0])
    fields = transaction.unseal(mail.owner, _TABLE, "fields", mail.id, sealed[1])
    if recipient is None or fields is None:
        return None
    return Letter(recipient, orjson.loads(fields))


async def end(
    transaction: Transaction, mail_id: str, state: MailState, outcome: str | None, now_ms: int,
) -> None:
    """A mail's last attempt. What it says is deleted where nobody will want it again."""
    said = ", recipient = NULL, fields = NULL" if state in ("sent", "withdrawn") else ""
    await transaction.run(
        "UPDATE outbox SET state = ?, outcome = ?, ended_at_ms = ?, attempts = attempts + 1,"
        f" claimed_until_ms = NULL{said} WHERE id = ? AND state = 'queued'",
        (state, outcome, now_ms, mail_id))


async def postpone(
    transaction: Transaction, mail_id: str, outcome: str, next_at_ms: int,
) -> None:
    """An attempt that failed for now."""
    await transaction.run(
        "UPDATE outbox SET outcome = ?, next_at_ms = ?, attempts = attempts + 1,"
        " claimed_until_ms = NULL WHERE id = ? AND state = 'queued'",
        (outcome, next_at_ms, mail_id))


async def requeue(
    transaction: Transaction, mail_id: str, now_ms: int, lease_ms: int,
) -> bool:
    """Let a mail that was not sent be tried at once; False where there is nothing to send.

    One that a process is sending, for `lease_ms` at most, stays its: two would send it twice.
    """
    return await transaction.run(
        "UPDATE outbox SET state = 'queued', attempts = 0, queued_at_ms = ?1,"
        " next_at_ms = CASE WHEN claimed_until_ms BETWEEN ?1 + 1 AND ?1 + ?2"
        " THEN claimed_until_ms ELSE ?1 END,"
        " ended_at_ms = NULL WHERE id = ?3 AND recipient IS NOT NULL",
        (now_ms, lease_ms, mail_id)) == 1


async def get(transaction: Transaction, mail_id: str) -> tuple[Mail, Row]:
    """The mail and its sealed columns. Raises RelayError `mail_not_found`."""
    row = await transaction.row(f"{_SELECT} WHERE id = ?", (mail_id.strip(),))
    if row is None:
        raise RelayError("mail_not_found", param="mail")
    return _mail(row), row[12:]


async def listing(
    transaction: Transaction, states: Sequence[MailState], most: int,
    account_id: str | None = None,
) -> list[Mail]:
    """Mails in these states, of one account or of all, the newest first."""
    marks = ", ".join("?" * len(states))
    whose, values = ("", ()) if account_id is None else (" AND account_id = ?", (account_id,))
    rows = await transaction.rows(
        f"{_SELECT} WHERE state IN ({marks}){whose} ORDER BY id DESC LIMIT ?",
        (*states, *values, most))
    return [_mail(row) for row in rows]


async def counts(transaction: Transaction) -> dict[MailState, int]:
    """How many mails there are in each state."""
    rows = await transaction.rows("SELECT state, count(*) FROM outbox GROUP BY state")
    return {row[0]: row[1] for row in rows}


async def count_queued(transaction: Transaction) -> int:
    """How many mails wait to be sent."""
    row = await transaction.row("SELECT count(*) FROM outbox WHERE state = 'queued'")
    return 0 if row is None else int(row[0])


async def forget(transaction: Transaction, account_id: str) -> int:
    """Delete all mails of an account, sent or not; returns how many."""
    return await transaction.run("DELETE FROM outbox WHERE account_id = ?", (account_id,))


async def delete_before(transaction: Transaction, until_ms: int, most: int) -> int:
    """Delete mails that ended before this moment, `most` at once; returns how many.

    Those as well that have waited for as long, as all do where no mail server is configured.
    """
    return await transaction.run(
        "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE ended_at_ms < ?1 UNION ALL"
        " SELECT id FROM outbox WHERE state = 'queued' AND queued_at_ms < ?1 LIMIT ?2)",
        (until_ms, most))


def _mail(row: Row) -> Mail:
    return Mail(*row[:12])
