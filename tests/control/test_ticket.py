"""Tickets: who may read them, their clocks, mails without words, and when they are gone."""

from __future__ import annotations

import orjson
import pytest

from relayd.control import account, audit, mail, retention, ticket
from relayd.control.ticket import Writing
from relayd.core.actor import Actor
from relayd.core.errors import RelayError
from relayd.core.retention import Terms
from relayd.core.ticket import CLASSES, MESSAGES_MAX, OPEN_MAX, TicketClass
from relayd.core.timestamp import DAY_MS
from relayd.store.db import Database
from relayd.store.directory import StoreError
from tests.fakes.audited import audited
from tests.fakes.person import files_with
from tests.fakes.records import START_MS

SUPPORT = Actor("acct_support", frozenset({"support"}))
HOUR_MS = 3_600_000


def link(path: str, token: str) -> str:
    return f"https://console.example{path}?token={token}"


async def refused(work: object) -> str:
    with pytest.raises(RelayError) as caught:
        await work  # type: ignore[misc]
    return caught.value.code


async def holder(db: Database) -> str:
    return (await account.create(db, "zeisig@example.org", None, START_MS)).id


async def opened(db: Database, about: TicketClass = "question", who: str | None = None) -> str:
    contact = None if who else "Stieglitz@example.org"
    made = await ticket.open_ticket(db, Writing(
        about, "Subject Zeisig", "Body Kanarienvogel", account=who, contact=contact), START_MS)
    return made.id


async def test_U5_a_ticket_is_sealed_and_read_by_its_owner_alone(db: Database) -> None:
    who = await holder(db)
    ticket_id = await opened(db, "question", who)
    story = await ticket.own(db, who, ticket_id)
    assert (story.ticket.subject, story.messages[0].body) == (
        "Subject Zeisig", "Body Kanarienvogel")
    assert files_with(db.directory, "Zeisig", "Kanarienvogel") == {}
    other = await account.create(db, "other@example.org", None, START_MS)
    assert await refused(ticket.own(db, other.id, ticket_id)) == "ticket_not_found"
    assert await refused(ticket.ask(db, other.id, ticket_id, "x", START_MS)) == "ticket_not_found"
    assert await refused(ticket.close(
        db, Actor(other.id), ticket_id, START_MS, account=other.id)) == "ticket_not_found"


async def test_U5_a_conversation(db: Database) -> None:
    who = await holder(db)
    ticket_id = await opened(db, "billing", who)
    await ticket.answer(db, SUPPORT, ticket_id, "Our answer", START_MS + 1, link)
    await ticket.ask(db, who, ticket_id, "More", START_MS + 2)
    assert (await ticket.own(db, who, ticket_id)).ticket.state == "open"
    closed = await ticket.close(db, Actor(who), ticket_id, START_MS + 3, account=who)
    [event] = [entry.event async for entry in audit.listing(db, target=who)
               if entry.event.action == "ticket.close"]
    assert (event.actor, orjson.loads(event.details)) == (who, {"ticket": ticket_id})
    assert (closed.state, closed.first_answer_at_ms) == ("closed", START_MS + 1)
    assert await refused(ticket.ask(db, who, ticket_id, "x", START_MS)) == "ticket_state"
    assert await refused(ticket.answer(
        db, SUPPORT, ticket_id, "x", START_MS, link)) == "ticket_state"
    bodies = [each.body for each in (await ticket.own(db, who, ticket_id)).messages]
    assert bodies == ["Body Kanarienvogel", "Our answer", "More"]


async def test_U5_an_answer_is_told_without_its_words(db: Database) -> None:
    who = await holder(db)
    for account_id, recipient in ((who, "zeisig@example.org"), (None, "Stieglitz@example.org")):
        ticket_id = await opened(db, "question", account_id)
        await ticket.answer(db, SUPPORT, ticket_id, "Our answer", START_MS, link)
        first, then = [each for each in await mail.due(db, START_MS, 9)]
        assert (first.mail.kind, then.mail.kind) == ("ticket_received", "ticket_answered")
        assert {each.letter.recipient for each in (first, then)} == {recipient}
        assert then.letter.fields["ticket"] == ticket_id and then.letter.fields["link"]
        assert "answer" not in str(then.letter.fields.values())


async def test_D3_an_operator_s_look_is_seen_by_the_owner(db: Database) -> None:
    who = await holder(db)
    ticket_id = await opened(db, "question", who)
    for roles in ((), ("finance",), ("security",)):
        actor = Actor("acct_x", frozenset(roles))  # type: ignore[arg-type]
        for work in (ticket.look(db, actor, ticket_id, START_MS), ticket.queue(db, actor),
                     ticket.answer(db, actor, ticket_id, "x", START_MS, link),
                     ticket.close(db, actor, ticket_id, START_MS)):
            assert await refused(work) == "role_needed"
    assert (await ticket.look(db, SUPPORT, ticket_id, START_MS)).messages[0].body
    [queued] = await ticket.queue(db, SUPPORT)
    assert (queued.subject, queued.contact) == ("", None)
    events = [(entry.event.action, entry.event.actor) async for entry in audit.listing(
        db, target=who)]
    assert ("ticket.look", "acct_support") in events
    await ticket.answer(db, SUPPORT, ticket_id, "x", START_MS, link)
    assert await audited(db, "ticket.answer") == [
        ("ticket.answer", "acct_support", who, {"ticket": ticket_id})]


async def test_one_that_can_be_read_no_more_keeps_no_other_out_of_the_queue(db: Database) -> None:
    who = await holder(db)
    both = {await opened(db, "question", who), await opened(db)}
    await db.keyring.destroy(who)
    assert {each.id for each in await ticket.queue(db, SUPPORT)} == both


async def test_what_can_be_read_no_more_can_be_closed(db: Database) -> None:
    """Else it would be overdue for good, and never deleted."""
    who = await holder(db)
    ticket_id = await opened(db, "privacy", who)
    await db.keyring.destroy(who)
    assert await refused(ticket.look(db, SUPPORT, ticket_id, START_MS)) == "data_key_gone"
    late_ms = START_MS + 90 * DAY_MS
    assert (await ticket.overdue(db, late_ms))["privacy"] == 1
    closed = await ticket.close(db, SUPPORT, ticket_id, late_ms)
    assert (closed.id, closed.state, closed.account) == (ticket_id, "closed", who)
    assert (await ticket.overdue(db, late_ms))["privacy"] == 0
    assert await ticket.sweep_batch(db, late_ms + 1, 10) == 1


async def test_U5_a_closed_ticket_is_purged_after_180_days(db: Database) -> None:
    who = await holder(db)
    mine, theirs = await opened(db, "question", who), await opened(db, "privacy")
    still = await opened(db, "question", who)
    for each in (mine, theirs):
        await ticket.close(db, SUPPORT, each, START_MS)
    sweep = retention.SWEEPERS["tickets"]
    assert await sweep(db, Terms(), START_MS + 180 * DAY_MS, 500) == 0
    assert await sweep(db, Terms(), START_MS + 181 * DAY_MS, 500) == 2
    assert [each.id for each in await ticket.of_account(db, who)] == [still]
    with pytest.raises(StoreError) as caught:
        db.keyring.cipher(f"ticket:{theirs}")
    assert caught.value.code == "data_key_gone"
    async with db.reading() as transaction:
        assert len(await transaction.rows("SELECT * FROM ticket_messages")) == 1


async def test_U5_a_key_whose_ticket_is_gone_goes_at_the_next_sweep(db: Database) -> None:
    ended, kept = await opened(db, "privacy"), await opened(db, "privacy")
    await ticket.close(db, SUPPORT, ended, START_MS)
    async with db.writing() as transaction:  # and then the process is killed
        await transaction.run("DELETE FROM tickets WHERE id = ?", (ended,))
    assert await ticket.sweep_batch(db, START_MS, 500) == 0
    assert db.keyring.owners(prefix="ticket:") == [f"ticket:{kept}"]


async def test_an_operator_answers_also_where_a_holder_wrote_to_the_last(db: Database) -> None:
    who = await holder(db)
    ticket_id = await opened(db, "privacy", who)
    for _ in range(MESSAGES_MAX - 1):
        await ticket.ask(db, who, ticket_id, "and", START_MS)
    assert await refused(ticket.ask(db, who, ticket_id, "and", START_MS)) == "tickets_open"
    await ticket.answer(db, SUPPORT, ticket_id, "We looked", START_MS + 1, link)
    assert await refused(ticket.ask(db, who, ticket_id, "and", START_MS)) == "tickets_open"


async def test_X1_privacy_requests_have_15_working_days_and_are_counted_when_late(
    db: Database,
) -> None:
    # a Thursday: the end of the Thursday three weeks on
    ticket_id = await opened(db, "privacy")
    minor = await opened(db, "minor")
    nobody = dict.fromkeys(CLASSES, 0)
    day = START_MS + 22 * DAY_MS
    assert await ticket.overdue(db, START_MS + 24 * HOUR_MS) == nobody
    assert await ticket.overdue(db, START_MS + 24 * HOUR_MS + 1) == {**nobody, "minor": 1}
    assert await ticket.overdue(db, day) == {**nobody, "minor": 1}
    assert await ticket.overdue(db, day + 1) == {**nobody, "minor": 1, "privacy": 1}
    await ticket.answer(db, SUPPORT, ticket_id, "Here you are", day, link)
    await ticket.close(db, SUPPORT, minor, day)
    assert await ticket.overdue(db, day + 1) == nobody


async def test_X1_who_has_no_account_reads_the_answer_by_a_link(db: Database) -> None:
    ticket_id = await opened(db, "minor")
    await ticket.answer(db, SUPPORT, ticket_id, "We looked", START_MS, link)
    async with db.reading() as transaction:
        rows = await transaction.rows(
            "SELECT owner, id, recipient, fields FROM outbox WHERE kind = 'ticket_answered'")
        owner, mail_id, recipient, fields = rows[0]
        assert transaction.unseal(
            owner, "outbox", "recipient", mail_id, recipient) == "Stieglitz@example.org"
        said = transaction.unseal(owner, "outbox", "fields", mail_id, fields) or ""
    token = ticket.token(db, ticket_id)
    assert token in said and "We looked" not in said
    story = await ticket.by_token(db, token)
    assert story.messages[-1].body == "We looked"
    for wrong in (ticket_id, f"{ticket_id}.", token[:-1] + "x", "", "ü.ü", token + "0"):
        assert await refused(ticket.by_token(db, wrong)) == "ticket_not_found"
    # a holder's own is read by who is signed in alone
    own = await opened(db, "question", await holder(db))
    assert await refused(ticket.by_token(db, ticket.token(db, own))) == "ticket_not_found"


async def test_what_cannot_be_written(db: Database) -> None:
    who = await holder(db)
    for writing, code in (
            (Writing("question", "s", "b"), "invalid_email"),
            (Writing("appeal", "s", "b", contact="a@b.example"), "invalid_value"),
            (Writing("question", "", "b", account=who), "invalid_value"),
            (Writing("question", "s", "\x00", account=who), "invalid_value")):
        assert await refused(ticket.open_ticket(db, writing, START_MS)) == code
    for _ in range(OPEN_MAX):
        await opened(db, "question", who)
    assert await refused(ticket.open_ticket(
        db, Writing("question", "s", "b", account=who), START_MS)) == "tickets_open"


async def test_views_have_what_people_see(db: Database) -> None:
    who = await holder(db)
    story = await ticket.own(db, who, await opened(db, "privacy", who))
    shown = ticket.view(story.ticket, START_MS)
    assert (shown["class"], shown["state"], shown["overdue"]) == ("privacy", "open", False)
    assert ticket.view_message(story.messages[0])["author"] == "holder"
