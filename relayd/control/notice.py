"""Notices: publish, queue their mails, show, answer.

Law: a notice is shown and mailed to everybody who had an account when it was published. A transfer
names its recipient and leaves time to object (PIPL article 22).
"""

from __future__ import annotations

import secrets

from relayd.control import audit, consent, mail
from relayd.core.account import is_written
from relayd.core.actor import Actor
from relayd.core.errors import RelayError
from relayd.core.mail import MAIL_KINDS, needs_consent
from relayd.core.notice import (
    MAIL_OF, MAILED_ONLY, NOTICE_FIELDS, TRANSFER_DAYS_MIN, Answer, Notice, NoticeKind,
)
from relayd.core.timestamp import DAY_MS, rfc3339, rfc3339_or_none
from relayd.core.ulid import RANDOM_BYTES, ulid
from relayd.store import account as store_account
from relayd.store import handover as store_handover
from relayd.store import notice as store_notice
from relayd.store.db import Database
from relayd.store.transaction import Transaction

TEXT_CHARS_MAX = 4000


async def publish(
    transaction: Transaction, actor: Actor, kind: NoticeKind, fields: dict[str, str],
    span_ms: tuple[int, int], now_ms: int,
) -> Notice:
    """Put up a notice from the first to the second moment of `span_ms`; its mails are queued then.

    Raises `invalid_value` for a text that is too long or empty, `invalid_time` for a span that is
    none, or too short for a transfer.
    """
    if fields.keys() != NOTICE_FIELDS[kind]:
        raise AssertionError(f"a {kind} notice has other fields")
    # browsers end the lines of a form with two characters
    fields = {name: text.replace("\r\n", "\n") for name, text in fields.items()}
    for name, text in fields.items():
        if not is_written(text.replace("\n", "")) or len(text) > TEXT_CHARS_MAX:
            raise RelayError("invalid_value", param=name)
    starts_at_ms, ends_at_ms = span_ms
    least_ms = TRANSFER_DAYS_MIN * DAY_MS if kind == "transfer" else 1
    if ends_at_ms - max(starts_at_ms, now_ms) < least_ms:
        raise RelayError("invalid_time", param="ends")
    made = Notice("notice_" + ulid(now_ms, secrets.token_bytes(RANDOM_BYTES)), kind, fields,
                  starts_at_ms, ends_at_ms, now_ms)
    await store_notice.insert(transaction, made)
    await audit.append(transaction, actor, "notice.publish", None, now_ms,
                       details={"notice": made.id, "kind": kind})
    return made


async def put_up(
    db: Database, actor: Actor, kind: NoticeKind, fields: dict[str, str],
    span_ms: tuple[int, int], now_ms: int,
) -> Notice:
    """`publish` in a transaction of its own."""
    async with db.writing() as transaction:
        return await publish(transaction, actor, kind, fields, span_ms, now_ms)


async def take_down(db: Database, actor: Actor, notice_id: str, now_ms: int) -> None:
    """Show it no longer. Raises `notice_not_found`; `handover_state` for that of a handover which
    is not called off: owners have until its end to object."""
    async with db.writing() as transaction:
        found = await store_notice.get(transaction, notice_id)
        if await store_handover.stands_on(transaction, found.id):
            raise RelayError("handover_state", param="notice")
        await end(transaction, actor, found.id, now_ms)


async def end(transaction: Transaction, actor: Actor, notice_id: str, now_ms: int) -> None:
    """`take_down` in a transaction of something else."""
    await store_notice.end(transaction, notice_id, now_ms)
    await audit.append(transaction, actor, "notice.end", None, now_ms,
                       details={"notice": notice_id})


async def queue_batch(db: Database, origin: str, now_ms: int, most: int) -> int:
    """Queue the next mails of a notice that has begun; returns how many, 0 where none is left.

    `origin` is where links lead.
    """
    async with db.reading() as transaction:
        if await store_notice.unmailed(transaction, now_ms) is None:
            return 0
    async with db.writing() as transaction:
        found = await store_notice.unmailed(transaction, now_ms)
        if found is None:
            return 0
        accounts = await store_notice.recipients(
            transaction, found.mailed_to, found.created_at_ms, most)
        for account_id in accounts:
            await _queue(transaction, found, account_id, origin, now_ms)
        done = len(accounts) < most
        await store_notice.progress(
            transaction, found.id, accounts[-1] if accounts else found.mailed_to,
            now_ms if done else None)
    return len(accounts)


async def _queue(
    transaction: Transaction, notice: Notice, account_id: str, origin: str, now_ms: int,
) -> None:
    """One account's mail; none where its class needs a consent that there is not, and none where
    the account can be read no more: the others wait behind it."""
    kind = MAIL_OF[notice.kind]
    mail_class = MAIL_KINDS[kind].mail_class
    if needs_consent(mail_class) and not await consent.consented(
            transaction, account_id, mail_class, now_ms):
        return
    account = await store_account.readable(transaction, account_id)
    if account is not None:
        await mail.post(transaction, kind, account_id,
                        _mail_fields(notice, account.language, origin), now_ms)


def _mail_fields(notice: Notice, language: str, origin: str) -> dict[str, str]:
    """What the mail of a notice says, in a language."""
    if notice.kind == "service" or notice.kind in MAILED_ONLY:
        return {"subject": notice.said("subject", language), "text": notice.said("text", language)}
    if notice.kind == "transfer":
        return {"recipient": notice.said("recipient", language),
                "contact": notice.fields["contact"], "ends": rfc3339(notice.ends_at_ms)[:10],
                "link": f"{origin}/notices/{notice.id}"}
    return {"document": notice.fields["document"], "version": notice.fields["version"],
            "effective": notice.fields["effective"], "summary": notice.said("summary", language),
            "link": f"{origin}/legal/{notice.fields['document']}/changes"}


async def shown(db: Database, now_ms: int) -> list[Notice]:
    """What stands on every page now, the newest first."""
    async with db.reading() as transaction:
        found = await store_notice.shown(transaction, now_ms)
    return [each for each in found if each.kind not in MAILED_ONLY]


async def get(db: Database, notice_id: str) -> Notice:
    """The notice, also one that is over. Raises `notice_not_found`, also for mere mail."""
    async with db.reading() as transaction:
        found = await store_notice.get(transaction, notice_id)
    if found.kind in MAILED_ONLY:
        raise RelayError("notice_not_found", param="notice")
    return found


async def listing(db: Database, most: int = 200) -> list[Notice]:
    """All, the newest first."""
    async with db.reading() as transaction:
        return await store_notice.listing(transaction, most)


async def answer(
    db: Database, actor: Actor, notice_id: str, said: Answer, now_ms: int,
) -> None:
    """A holder agrees or objects to a transfer, while it may be answered.

    Raises `notice_not_found` for another notice, or one that is over.
    """
    if actor.account is None:
        raise AssertionError("only holders answer")
    async with db.writing() as transaction:
        found = await store_notice.get(transaction, notice_id)
        if found.kind != "transfer" or not found.open_at(now_ms):
            raise RelayError("notice_not_found", param="notice")
        await store_notice.answer(transaction, notice_id, actor.account, said, now_ms)
        await audit.append(transaction, actor, "notice.answer", actor.account, now_ms,
                           details={"notice": notice_id, "answer": said})


async def answered(db: Database, notice_id: str, account_id: str) -> Answer | None:
    """What a holder answered."""
    async with db.reading() as transaction:
        return await store_notice.answered(transaction, notice_id, account_id)


def view(notice: Notice) -> dict[str, object]:
    """A notice as JSON shows it."""
    return {
        "id": notice.id, "kind": notice.kind, "fields": notice.fields,
        "starts_at": rfc3339(notice.starts_at_ms), "ends_at": rfc3339(notice.ends_at_ms),
        "created_at": rfc3339(notice.created_at_ms),
        "mailed_at": rfc3339_or_none(notice.mailed_at_ms),
    }
