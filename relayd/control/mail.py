"""Mail: post into the outbox, deliver from it, show it.

Law: a mail is posted in the write transaction of what it tells of. Mail of the classes that need
consent is not posted without it, and not sent once it is withdrawn. What a mail says is sealed
until it is sent, and deleted then.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from relayd.control import audit, consent
from relayd.core.account import Language
from relayd.core.actor import Actor
from relayd.core.errors import RelayError
from relayd.core.mail import (
    ATTEMPTS_MIN, GIVE_UP_MS, MailState, kind_of, needs_consent, read_unsubscribe_token, retry_ms,
    unsubscribe_token,
)
from relayd.core.timestamp import rfc3339, rfc3339_or_none
from relayd.core.ulid import RANDOM_BYTES, ulid
from relayd.store import account as store_account
from relayd.store import mail as store_mail
from relayd.store.db import Database
from relayd.store.directory import StoreError
from relayd.store.mail import Letter, Mail
from relayd.store.secret import derived
from relayd.store.transaction import Row, Transaction

UNSUBSCRIBE_LABEL: Final = "unsubscribe links"
LEASE_MS: Final = 600_000
"""How long a mail that is being sent is nobody else's: as long as a session with the slowest
server takes (ops/smtp.py, jobs/mail.py), for otherwise two processes send it."""
UNREADABLE: Final = "unreadable"
"""The outcome of a mail whose sealed text is damaged."""
WAITING: Final[tuple[MailState, ...]] = ("queued", "refused", "expired")
LISTED_MAX: Final = 1000


class To(NamedTuple):
    """An address that is no account's, and the language to write in."""

    address: str
    language: Language


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A mail that is to be sent now. `unsubscribe` is its link's token, where it has one; it is
    this process's until `until_ms`."""

    mail: Mail
    letter: Letter
    unsubscribe: str | None
    until_ms: int = 0


async def post(
    transaction: Transaction, kind: str, account_id: str | None, fields: dict[str, str],
    now_ms: int, to: str | To | None = None,
) -> str:
    """Put a mail into the outbox; returns its id. `fields` are exactly those of its kind.

    It goes to the account's address, or to `to`. What it says is sealed under the account's key;
    without an account (`To`) under one of its month. Raises `consent_missing` where the class
    needs a consent that the account has not given.
    """
    row = kind_of(kind, fields)
    if needs_consent(row.mail_class) and (
            account_id is None
            or not await consent.consented(
                transaction, account_id, row.mail_class, now_ms)):
        raise RelayError("consent_missing", param=row.mail_class)
    owner, recipient, language = await _addressed(transaction, account_id, to, now_ms)
    mail = Mail(
        id="mail_" + ulid(now_ms, secrets.token_bytes(RANDOM_BYTES)), owner=owner,
        account_id=account_id, kind=kind, mail_class=row.mail_class, language=language,
        state="queued", attempts=0, outcome=None, queued_at_ms=now_ms, next_at_ms=now_ms,
        ended_at_ms=None)
    await store_mail.insert(transaction, mail, Letter(recipient, fields))
    return mail.id


async def _addressed(
    transaction: Transaction, account_id: str | None, to: str | To | None, now_ms: int,
) -> tuple[str, str, Language]:
    """(owner of the data key, address, language)."""
    if account_id is None:
        if not isinstance(to, To):
            raise AssertionError("a mail to nobody's account needs an address and a language")
        owner = f"mail:{rfc3339(now_ms)[:7]}"
        await transaction.sealer.keyring.make(owner)
        return owner, to.address, to.language
    account = await store_account.get(transaction, account_id)
    address = to.address if isinstance(to, To) else to or account.email
    if address is None:
        raise RelayError("account_state")
    return account.id, address, to.language if isinstance(to, To) else account.language


async def due(db: Database, now_ms: int, most: int) -> list[Outgoing]:
    """Mails whose time has come; each is this process's for `LEASE_MS`.

    Those that cannot go any more end here: the consent is withdrawn, the key is gone, or what the
    mail says cannot be opened.
    """
    found: list[Outgoing] = []
    until_ms = now_ms + LEASE_MS
    async with db.writing() as transaction:
        for mail, sealed in await store_mail.claim(transaction, now_ms, until_ms, most):
            letter = await _sendable(transaction, mail, sealed, now_ms)
            if letter is not None:
                found.append(Outgoing(mail, letter, _token(db.secret, mail), until_ms))
    return found


async def release(db: Database, untried: Sequence[Outgoing], now_ms: int) -> None:
    """Mails of `due` that were not tried are anybody's again, at once."""
    if untried:
        async with db.writing() as transaction:
            await store_mail.release(transaction, [each.mail.id for each in untried],
                                     untried[0].until_ms, now_ms)


async def _sendable(
    transaction: Transaction, mail: Mail, sealed: Row, now_ms: int,
) -> Letter | None:
    """What the mail says; None where it ends here. A damaged one keeps no other back."""
    letter: Letter | None = None
    state: MailState = "withdrawn"
    outcome = None
    if not needs_consent(mail.mail_class) or (
            mail.account_id is not None
            and await consent.consented(
                transaction, mail.account_id, mail.mail_class, now_ms)):
        try:
            letter = store_mail.letter(transaction, mail, sealed)
        except StoreError as error:
            if error.code == "seal_broken":
                state, outcome = "refused", UNREADABLE
            elif error.code != "data_key_gone":
                raise
    if letter is None:
        await store_mail.end(transaction, mail.id, state, outcome, now_ms)
    return letter


def _token(secret: bytes, mail: Mail) -> str | None:
    if mail.account_id is None or not needs_consent(mail.mail_class):
        return None
    return unsubscribe_token(derived(secret, UNSUBSCRIBE_LABEL), mail.account_id, mail.mail_class)


async def sent(db: Database, mail: Mail, now_ms: int) -> None:
    """The server took it: what it said is deleted."""
    async with db.writing() as transaction:
        await store_mail.end(transaction, mail.id, "sent", "taken", now_ms)


async def refused(db: Database, mail: Mail, outcome: str, now_ms: int) -> None:
    """The server will never take it."""
    async with db.writing() as transaction:
        await store_mail.end(transaction, mail.id, "refused", outcome, now_ms)


async def failed(
    db: Database, mail: Mail, outcome: str, now_ms: int, *, believed: bool = True,
) -> MailState:
    """The server did not take it now: it is tried again, or given up after `GIVE_UP_MS` and
    `ATTEMPTS_MIN`, unless the clock is not `believed`."""
    attempts = mail.attempts + 1
    next_at_ms = now_ms + retry_ms(attempts)
    late = attempts >= ATTEMPTS_MIN and next_at_ms - mail.queued_at_ms > GIVE_UP_MS
    async with db.writing() as transaction:
        if believed and late:
            await store_mail.end(transaction, mail.id, "expired", outcome, now_ms)
            return "expired"
        await store_mail.postpone(transaction, mail.id, outcome, next_at_ms)
        return "queued"


async def retry(db: Database, mail_id: str, now_ms: int) -> Mail:
    """Try a mail again now; where it is being sent, once that has come to nothing (`next_at_ms`).

    Raises `mail_not_found`, or `mail_state` where it says nothing now.
    """
    async with db.writing() as transaction:
        mail, _ = await store_mail.get(transaction, mail_id)
        if not await store_mail.requeue(transaction, mail.id, now_ms, LEASE_MS):
            raise RelayError("mail_state", param="mail")
        found, _ = await store_mail.get(transaction, mail.id)
    return found


async def show(db: Database, actor: Actor, mail_id: str, now_ms: int) -> Outgoing:
    """What a mail that waits says. That somebody read it is in the audit log.

    Raises `mail_state` once what it said is deleted.
    """
    async with db.writing() as transaction:
        mail, sealed = await store_mail.get(transaction, mail_id)
        letter = store_mail.letter(transaction, mail, sealed)
        if letter is None:
            raise RelayError("mail_state", param="mail")
        await audit.append(transaction, actor, "mail.look", mail.account_id, now_ms,
                           details={"mail": mail.id, "kind": mail.kind})
    return Outgoing(mail, letter, _token(db.secret, mail))


async def listing(
    db: Database, *, waiting: bool = False, account_id: str | None = None,
    most: int = LISTED_MAX,
) -> list[Mail]:
    """Mails, the newest first; `waiting`: those that were not sent."""
    states = WAITING if waiting else (*WAITING, "sent", "withdrawn")
    async with db.reading() as transaction:
        return await store_mail.listing(transaction, states, most, account_id)


async def counts(db: Database) -> dict[MailState, int]:
    """How many mails there are in each state."""
    async with db.reading() as transaction:
        return await store_mail.counts(transaction)


async def waiting(db: Database) -> int:
    """How many mails are still to be sent."""
    async with db.reading() as transaction:
        return await store_mail.count_queued(transaction)


async def unsubscribe(db: Database, actor: Actor, token: str, now_ms: int) -> str:
    """Withdraw the consent that a mail's link is about; returns the class.

    Raises `token_not_usable` for a token that is not ours. An account that is gone, or a second
    time, is no fault: whoever follows the link is told the same.
    """
    account_id, mail_class = read_token(db, token)
    async with db.reading() as transaction:
        known = await store_account.find(transaction, account_id)
    if known is not None and known.state != "erased":
        await consent.withdraw(db, actor, account_id, mail_class, "mail", now_ms)
    return mail_class


def read_token(db: Database, token: str) -> tuple[str, str]:
    """(account, class) of an unsubscribe link. Raises `token_not_usable`."""
    return read_unsubscribe_token(derived(db.secret, UNSUBSCRIBE_LABEL), token)


def view(mail: Mail) -> dict[str, object]:
    """A mail as JSON shows it: nothing of what it says."""
    return {
        "id": mail.id, "account": mail.account_id, "kind": mail.kind, "class": mail.mail_class,
        "language": mail.language, "state": mail.state, "attempts": mail.attempts,
        "outcome": mail.outcome, "queued_at": rfc3339(mail.queued_at_ms),
        "next_at": rfc3339(mail.next_at_ms) if mail.state == "queued" else None,
        "ended_at": rfc3339_or_none(mail.ended_at_ms),
    }
