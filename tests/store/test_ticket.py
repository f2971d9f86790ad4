"""Tickets as rows: sealed under their owner's key, in the order of urgency."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relayd.core.account import Account
from relayd.core.errors import RelayError
from relayd.core.ticket import Message, Ticket
from relayd.store import account, ticket
from relayd.store.db import Database
from relayd.store.directory import StoreError

OWN = Ticket("tick_1", "acct_1", "question", "open", "Subject", None, "en", 5, None)
MAILED = Ticket("tick_2", None, "minor", "open", "Other", "a@b.example", "zh", 6, 100)


def bare(found: Ticket) -> Ticket:
    """Without its texts, as in the list of all."""
    return replace(found, subject="", contact=None)


async def kept(db: Database) -> None:
    async with db.writing() as transaction:
        await account.insert(transaction, Account("acct_1", "a@example.org", None, "active", 0))
        for each in (OWN, MAILED):
            await ticket.insert(transaction, each)
            await ticket.add_message(transaction, each, Message(f"m{each.id}", "holder", 7, "B"))


async def test_what_is_kept_comes_back(db: Database) -> None:
    await kept(db)
    async with db.reading() as transaction:
        assert await ticket.get(transaction, "tick_1", "acct_1") == OWN
        assert await ticket.listing(transaction) == [bare(MAILED), bare(OWN)]
        assert await ticket.listing(transaction, account="acct_1") == [OWN]
        assert [each.body for each in await ticket.messages(transaction, MAILED)] == ["B"]
        assert await ticket.count_unclosed(transaction, "acct_1") == 1
        assert await ticket.count_overdue(transaction, 101) == {"minor": 1}
        with pytest.raises(RelayError):
            await ticket.get(transaction, "tick_1", "acct_2")


async def test_each_has_the_key_of_its_owner(db: Database) -> None:
    await kept(db)
    await db.keyring.destroy("ticket:tick_2")
    async with db.reading() as transaction:
        assert (await ticket.get(transaction, "tick_1")).subject == "Subject"
        with pytest.raises(StoreError) as caught:
            await ticket.get(transaction, "tick_2")
    assert caught.value.code == "data_key_gone"


async def test_texts_do_not_open_in_another_row(db: Database) -> None:
    await kept(db)
    async with db.writing() as transaction:
        await ticket.insert(transaction, Ticket(
            "tick_3", "acct_1", "question", "open", "Third", None, "en", 5, None))
        await transaction.run("UPDATE tickets SET subject ="
                              " (SELECT subject FROM tickets WHERE id = 'tick_3')"
                              " WHERE id = 'tick_1'")
    async with db.reading() as transaction:
        with pytest.raises(StoreError) as caught:
            await ticket.get(transaction, "tick_1")
    assert caught.value.code == "seal_broken"


async def test_messages_go_with_their_ticket(db: Database) -> None:
    await kept(db)
    async with db.writing() as transaction:
        assert await ticket.of_account(transaction, "acct_1") == ["tick_1"]
        assert await ticket.delete(transaction, ["tick_1"]) == 1
        assert await transaction.rows("SELECT ticket_id FROM ticket_messages") == [("tick_2",)]


async def test_one_ticket_s_answer_is_no_other_s(db: Database) -> None:
    await kept(db)
    answered = replace(MAILED, state="closed", first_answer_at_ms=50, closed_at_ms=60)
    async with db.writing() as transaction:
        await ticket.update(transaction, answered)
        assert await ticket.get(transaction, "tick_2") == answered
        assert await ticket.get(transaction, "tick_1") == OWN
        assert await ticket.listing(transaction) == [bare(OWN), bare(answered)]
        assert await ticket.listing(transaction, unclosed=True) == [bare(OWN)]
        assert await ticket.count_overdue(transaction, 101) == {}
        assert await ticket.owners(transaction) == {"ticket:tick_2"}
        assert await ticket.count_unclosed(transaction, "acct_2") == 0
        with pytest.raises(RelayError):
            await ticket.get(transaction, "tick_2", "acct_1")


async def test_the_order_of_urgency_and_of_what_was_said(db: Database) -> None:
    await kept(db)
    async with db.writing() as transaction:
        for name, state, due, opened, closed in (
                ("a", "open", 90, 9, None), ("b", "answered", None, 4, None),
                ("c", "closed", 5, 1, 30), ("d", "closed", 6, 1, 20), ("e", "closed", 7, 1, 10)):
            new = Ticket(name, "acct_1", "privacy", "open", "S", None, "en", opened, due)
            await ticket.insert(transaction, new)
            await ticket.update(transaction, replace(
                new, state=state, closed_at_ms=closed))  # type: ignore[arg-type]
        assert [each.id for each in await ticket.listing(transaction)] == [
            "a", "tick_2", "b", "tick_1", "c", "d", "e"]
        assert await ticket.ended(transaction, 30, 9) == ["e", "d"]
        assert await ticket.ended(transaction, 31, 2) == ["e", "d"]
        assert await ticket.count_overdue(transaction, 91) == {"privacy": 1}
        for number, at in enumerate((9, 8, 7)):  # as they came, whatever a clock said
            await ticket.add_message(
                transaction, OWN, Message(f"z{9 - number}", "operator", at, f"{number}"))
        assert [each.body for each in await ticket.messages(transaction, OWN)] == [
            "B", "0", "1", "2"]
