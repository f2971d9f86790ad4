"""Tickets: open, read, answer, close; and what somebody writes who is not signed in.

Law: an operator's look at a ticket is in the audit log, where its owner sees it. A ticket is never
asked for content of calls, and says so where it is written.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from relayd.control import audit, mail
from relayd.core.account import Language, check_email, check_label
from relayd.core.actor import Actor, Role
from relayd.core.errors import RelayError
from relayd.core.ticket import (
    BODY_CHARS_MAX, CLASSES, MESSAGES_MAX, OPEN_MAX, SUBJECT_CHARS_MAX, WITHOUT_ACCOUNT, Author,
    Message, Ticket, TicketClass, advance, check_text, due_at_ms,
)
from relayd.core.timestamp import rfc3339, rfc3339_or_none
from relayd.core.ulid import RANDOM_BYTES, ulid
from relayd.store import ticket as store_ticket
from relayd.store.db import Database
from relayd.store.secret import derived
from relayd.store.transaction import Transaction

READERS: Final[tuple[Role, ...]] = ("support", "legal", "owner")
"""The roles that read and answer tickets."""
PATH: Final = "/privacy/tickets"
CONTACT_PATH: Final = "/contact/ticket"
KEYS: Final = "ticket:"
"""Begins the names of the keys of tickets without an account."""
TOKEN_LABEL: Final = "ticket links"
TOKEN_BYTES: Final = 16
Link = Callable[[str, str], str]
"""A link into the console, of a path and a token."""


@dataclass(frozen=True, slots=True)
class Writing:
    """What somebody writes. Without an account it needs a `contact`: an e-mail address."""

    ticket_class: TicketClass
    subject: str = field(repr=False)
    body: str = field(repr=False)
    account: str | None = None
    contact: str | None = field(default=None, repr=False)
    language: Language = "en"

    def checked(self) -> Writing:
        """The same with clean texts. Raises `invalid_value` or `invalid_email`."""
        classes = CLASSES if self.account is not None else WITHOUT_ACCOUNT
        if self.ticket_class not in classes:
            raise RelayError("invalid_value", param="class")
        contact = check_email(self.contact or "") if self.account is None else None
        return replace(
            self, subject=check_label(self.subject, "subject", SUBJECT_CHARS_MAX),
            body=check_text(self.body, "body", BODY_CHARS_MAX), contact=contact)


@dataclass(frozen=True, slots=True)
class Story:
    """A ticket with its messages."""

    ticket: Ticket
    messages: list[Message]


def _message(author: Author, body: str, now_ms: int) -> Message:
    text = check_text(body, "body", BODY_CHARS_MAX)
    return Message("msg_" + ulid(now_ms, secrets.token_bytes(RANDOM_BYTES)), author, now_ms, text)


async def open_ticket(
    db: Database, writing: Writing, now_ms: int,
) -> Ticket:
    """A new ticket; whoever wrote it gets a mail with its id and, if it has one, its clock.

    Raises `tickets_open` where the account has too many.
    """
    async with db.writing() as transaction:
        return await put(transaction, writing, now_ms)


async def put(
    transaction: Transaction, writing: Writing, now_ms: int, *, bounded: bool = True,
) -> Ticket:
    """The same within a transaction of something else; not `bounded`: however many there are."""
    writing = writing.checked()
    if bounded and writing.account is not None and await store_ticket.count_unclosed(
            transaction, writing.account) >= OPEN_MAX:
        raise RelayError("tickets_open")
    ticket = Ticket(
        id="tick_" + ulid(now_ms, secrets.token_bytes(RANDOM_BYTES)), account=writing.account,
        ticket_class=writing.ticket_class, state="open", subject=writing.subject,
        contact=writing.contact, language=writing.language, opened_at_ms=now_ms,
        due_at_ms=due_at_ms(writing.ticket_class, now_ms))
    await store_ticket.insert(transaction, ticket)
    await store_ticket.add_message(transaction, ticket, _message("holder", writing.body, now_ms))
    due = "-" if ticket.due_at_ms is None else rfc3339(ticket.due_at_ms - 1)[:10]
    await _mail(transaction, ticket, "ticket_received", {"ticket": ticket.id, "due": due}, now_ms)
    return ticket


async def _mail(
    transaction: Transaction, ticket: Ticket, kind: str, fields: dict[str, str], now_ms: int,
) -> None:
    if ticket.account is not None:
        await mail.post(transaction, kind, ticket.account, fields, now_ms)
    elif ticket.contact is not None:
        language: Language = "zh" if ticket.language == "zh" else "en"
        await mail.post(
            transaction, kind, None, fields, now_ms, to=mail.To(ticket.contact, language))


async def own(db: Database, account: str, ticket_id: str) -> Story:
    """A ticket for the holder who wrote it. Raises `ticket_not_found` for another's."""
    async with db.reading() as transaction:
        ticket = await store_ticket.get(transaction, ticket_id, account)
        return Story(ticket, await store_ticket.messages(transaction, ticket))


async def of_account(db: Database, account: str) -> list[Ticket]:
    """An account's tickets."""
    async with db.reading() as transaction:
        return await store_ticket.listing(transaction, account=account)


async def ask(
    db: Database, account: str | None, ticket_id: str, body: str, now_ms: int,
) -> Story:
    """Whoever wrote it writes more; `account` None: the caller has seen their token.

    Raises `ticket_state` once it is closed.
    """
    async with db.writing() as transaction:
        ticket = await store_ticket.get(transaction, ticket_id, account)
        ticket = replace(ticket, state=advance(ticket.state, "ask"))
        await _add(transaction, ticket, _message("holder", body, now_ms))
        return Story(ticket, await store_ticket.messages(transaction, ticket))


async def _add(transaction: Transaction, ticket: Ticket, message: Message) -> None:
    # what a holder has written to the last must not leave them without an answer
    if message.author == "holder" and len(
            await store_ticket.messages(transaction, ticket)) >= MESSAGES_MAX:
        raise RelayError("tickets_open", param="ticket")
    await store_ticket.add_message(transaction, ticket, message)
    await store_ticket.update(transaction, ticket)


def _judge(actor: Actor) -> None:
    if not actor.has(*READERS):
        raise RelayError("role_needed")


async def queue(db: Database, actor: Actor, *, closed: bool = False) -> list[Ticket]:
    """All tickets for operators, the most urgent first; without their texts.

    Raises `role_needed`.
    """
    _judge(actor)
    async with db.reading() as transaction:
        return await store_ticket.listing(transaction, unclosed=not closed)


async def look(db: Database, actor: Actor, ticket_id: str, now_ms: int) -> Story:
    """A ticket for an operator; its owner sees that somebody read it. Raises `role_needed`."""
    _judge(actor)
    async with db.writing() as transaction:
        ticket = await store_ticket.get(transaction, ticket_id)
        await audit.append(transaction, actor, "ticket.look", ticket.account, now_ms,
                           details={"ticket": ticket.id})
        return Story(ticket, await store_ticket.messages(transaction, ticket))


def token(db: Database, ticket_id: str) -> str:
    """What opens a ticket for whoever wrote it without an account: its id, and a keyed hash."""
    mac = hmac.digest(derived(db.secret, TOKEN_LABEL), ticket_id.encode(), "sha256")
    return f"{ticket_id}.{mac[:TOKEN_BYTES].hex()}"


async def by_token(db: Database, text: str) -> Story:
    """The ticket of such a token. Raises `ticket_not_found`."""
    ticket_id, _, _ = text.partition(".")
    if not hmac.compare_digest(token(db, ticket_id).encode(), text.encode("utf-8", "replace")):
        raise RelayError("ticket_not_found", param="ticket")
    async with db.reading() as transaction:
        ticket = await store_ticket.get(transaction, ticket_id)
        if ticket.account is not None:
            raise RelayError("ticket_not_found", param="ticket")
        return Story(ticket, await store_ticket.messages(transaction, ticket))


def _place(db: Database, ticket: Ticket, link: Link) -> str:
    """Where a ticket is read by whoever wrote it."""
    if ticket.account is not None:
        return link(f"{PATH}/{ticket.id}", "")
    return link(CONTACT_PATH, token(db, ticket.id))


async def answer(
    db: Database, actor: Actor, ticket_id: str, body: str, now_ms: int, link: Link,
) -> Ticket:
    """An operator answers. The mail says that there is an answer, and where; not which.

    Raises `role_needed`, `ticket_state`.
    """
    _judge(actor)
    async with db.writing() as transaction:
        ticket = await store_ticket.get(transaction, ticket_id)
        first = ticket.first_answer_at_ms
        ticket = replace(ticket, state=advance(ticket.state, "answer"),
                         first_answer_at_ms=now_ms if first is None else first)
        await _add(transaction, ticket, _message("operator", body, now_ms))
        await audit.append(transaction, actor, "ticket.answer", ticket.account, now_ms,
                           details={"ticket": ticket.id})
        await _mail(transaction, ticket, "ticket_answered",
                    {"ticket": ticket.id, "link": _place(db, ticket, link)}, now_ms)
    return ticket


async def close(
    db: Database, actor: Actor, ticket_id: str, now_ms: int, *, account: str | None = None,
) -> Ticket:
    """Close a ticket: the holder their own (`account`), or an operator, also one that can be read
    no more; the answer is without its texts, which go when the term of tickets is over. Raises
    `ticket_state` where it is closed."""
    if account is None:
        _judge(actor)
    async with db.writing() as transaction:
        ticket = await store_ticket.known(transaction, ticket_id, account)
        ticket = replace(ticket, state=advance(ticket.state, "close"), closed_at_ms=now_ms)
        await store_ticket.update(transaction, ticket)
        await audit.append(transaction, actor, "ticket.close", ticket.account, now_ms,
                           details={"ticket": ticket.id})
    return ticket


async def overdue(db: Database, now_ms: int) -> dict[str, int]:
    """How many tickets nobody answered in time, by class; every class has its number."""
    async with db.reading() as transaction:
        found = await store_ticket.count_overdue(transaction, now_ms)
    return {each: found.get(each, 0) for each in CLASSES}


async def sweep_batch(db: Database, closed_before_ms: int, most: int) -> int:
    """Delete tickets that were closed before a moment, and destroy the keys of those that had
    their own, also where a crash came between the two; returns how many."""
    # before the transaction: a key that is made in another one has its ticket when this one begins
    owners = await asyncio.to_thread(db.keyring.owners, prefix=KEYS)
    async with db.writing() as transaction:
        ended = await store_ticket.ended(transaction, closed_before_ms, most)
        await store_ticket.delete(transaction, ended)
        kept = await store_ticket.owners(transaction)
    over = [owner for owner in owners if owner not in kept]
    if over:
        await db.keyring.destroy(*over)
    return len(ended)


def view(ticket: Ticket, now_ms: int) -> dict[str, object]:
    """The ticket as JSON shows it."""
    return {
        "id": ticket.id, "account": ticket.account, "class": ticket.ticket_class,
        "state": ticket.state, "subject": ticket.subject, "language": ticket.language,
        "opened_at": rfc3339(ticket.opened_at_ms),
        "due_at": rfc3339_or_none(ticket.due_at_ms),
        "overdue": ticket.overdue(now_ms),
        "closed_at": rfc3339_or_none(ticket.closed_at_ms),
    }


def view_message(message: Message) -> dict[str, object]:
    """A message as JSON shows it."""
    return {"author": message.author, "written_at": rfc3339(message.written_at_ms),
            "body": message.body}
