"""Tickets and their messages as rows: texts are sealed under the key of whom they are about."""

from __future__ import annotations

from typing import Final

from relayd.core.errors import RelayError
from relayd.core.ticket import Message, Ticket
from relayd.store.transaction import Row, Transaction

_TABLE: Final = "tickets"
# so that the index of states finds them among all that were ever closed
_UNCLOSED: Final = "state IN ('open', 'answered')"
_MESSAGES: Final = "ticket_messages"
_SELECT: Final = (
    "SELECT id, account_id, class, state, subject, contact, language, opened_at_ms, due_at_ms,"
    " first_answer_at_ms, closed_at_ms, owner FROM tickets"
)


def _ticket(transaction: Transaction, row: Row) -> Ticket:
    values = list(row[:-1])
    for place, column in ((4, "subject"), (5, "contact")):
        values[place] = transaction.unseal(row[-1], _TABLE, column, row[0], row[place])
    return Ticket(*values)


def _bare(row: Row) -> Ticket:
    return Ticket(*(*row[:4], "", None, *row[6:-1]))


async def insert(transaction: Transaction, ticket: Ticket) -> None:
    """Add a ticket; its owner gets a data key if it has none yet."""
    await transaction.sealer.keyring.make(ticket.owner)
    owner = ticket.owner
    await transaction.run(
        "INSERT INTO tickets (id, account_id, class, state, owner, subject, contact, language,"
        " opened_at_ms, due_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (ticket.id, ticket.account, ticket.ticket_class, ticket.state, owner,
         transaction.seal(owner, _TABLE, "subject", ticket.id, ticket.subject),
         transaction.seal(owner, _TABLE, "contact", ticket.id, ticket.contact),
         ticket.language, ticket.opened_at_ms, ticket.due_at_ms))


async def update(transaction: Transaction, ticket: Ticket) -> None:
    """Write the state and the times of the ticket with this id."""
    await transaction.run(
        "UPDATE tickets SET state = ?, first_answer_at_ms = ?, closed_at_ms = ? WHERE id = ?",
        (ticket.state, ticket.first_answer_at_ms, ticket.closed_at_ms, ticket.id))


async def get(transaction: Transaction, ticket_id: str, account: str | None = None) -> Ticket:
    """The ticket with this id, and of this account where one is named. Raises
    `ticket_not_found`."""
    return _ticket(transaction, await _row(transaction, ticket_id, account))


async def known(transaction: Transaction, ticket_id: str, account: str | None = None) -> Ticket:
    """The same without its texts, for who needs none of them: they may be read no more."""
    return _bare(await _row(transaction, ticket_id, account))


async def _row(transaction: Transaction, ticket_id: str, account: str | None) -> Row:
    row = await transaction.row(f"{_SELECT} WHERE id = ?", (ticket_id.strip(),))
    if row is None or (account is not None and row[1] != account):
        raise RelayError("ticket_not_found", param="ticket")
    return row


async def listing(
    transaction: Transaction, *, account: str | None = None, unclosed: bool = False,
) -> list[Ticket]:
    """Tickets, those of one account, or all without their texts; the most urgent first, then the
    oldest."""
    conditions, values = ["TRUE"], list[object]()
    if account is not None:
        conditions.append("account_id = ?")
        values.append(account)
    if unclosed:
        conditions.append(_UNCLOSED)
    rows = await transaction.rows(
        f"{_SELECT} WHERE {' AND '.join(conditions)}"
        " ORDER BY state = 'closed', due_at_ms IS NULL, due_at_ms, opened_at_ms, id", values)
    if account is None:
        return [_bare(row) for row in rows]
    return [_ticket(transaction, row) for row in rows]


async def count_unclosed(transaction: Transaction, account: str) -> int:
    """How many tickets an account has that are not closed."""
    row = await transaction.row(
        "SELECT COUNT(*) FROM tickets WHERE account_id = ? AND state <> 'closed'", (account,))
    return 0 if row is None else int(row[0])


async def count_overdue(transaction: Transaction, now_ms: int) -> dict[str, int]:
    """How many tickets nobody answered in time, by class."""
    return dict(await transaction.rows(
        "SELECT class, COUNT(*) FROM tickets WHERE first_answer_at_ms IS NULL"
        f" AND {_UNCLOSED} AND due_at_ms < ? GROUP BY class", (now_ms,)))


async def add_message(transaction: Transaction, ticket: Ticket, message: Message) -> None:
    """Add a message to a ticket."""
    await transaction.run(
        "INSERT INTO ticket_messages (id, ticket_id, author, written_at_ms, body)"
        " VALUES (?, ?, ?, ?, ?)",
        (message.id, ticket.id, message.author, message.written_at_ms,
         transaction.seal(ticket.owner, _MESSAGES, "body", message.id, message.body)))


async def messages(transaction: Transaction, ticket: Ticket) -> list[Message]:
    """A ticket's messages, oldest first."""
    rows = await transaction.rows(
        "SELECT id, author, written_at_ms, body FROM ticket_messages WHERE ticket_id = ?"
        " ORDER BY rowid", (ticket.id,))
    found = []
    for message_id, author, written_at_ms, sealed in rows:
        body = transaction.unseal(ticket.owner, _MESSAGES, "body", message_id, sealed)
        found.append(Message(message_id, author, written_at_ms, body or ""))
    return found


async def ended(transaction: Transaction, closed_before_ms: int, most: int) -> list[str]:
    """The ids of tickets that were closed before a moment, the oldest first."""
    rows = await transaction.rows(
        "SELECT id FROM tickets WHERE closed_at_ms < ? ORDER BY closed_at_ms LIMIT ?",
        (closed_before_ms, most))
    return [row[0] for row in rows]


async def owners(transaction: Transaction) -> frozenset[str]:
    """Whose data keys seal the tickets that are no account's."""
    rows = await transaction.rows("SELECT owner FROM tickets WHERE account_id IS NULL")
    return frozenset(row[0] for row in rows)


async def of_account(transaction: Transaction, account: str) -> list[str]:
    """The ids of an account's tickets."""
    rows = await transaction.rows("SELECT id FROM tickets WHERE account_id = ?", (account,))
    return [row[0] for row in rows]


async def delete(transaction: Transaction, ids: list[str]) -> int:
    """Delete tickets with their messages."""
    return await transaction.many("DELETE FROM tickets WHERE id = ?", [(each,) for each in ids])
