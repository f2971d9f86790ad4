"""An appeal is a ticket of its account; its link works once."""

from __future__ import annotations

import pytest

from relayd.control import appeal, mail_token, ticket
from relayd.control.door import Door
from relayd.control.ticket import Writing
from relayd.core.errors import RelayError
from relayd.core.ticket import OPEN_MAX
from tests.fakes.door import registered
from tests.fakes.records import START_MS


async def test_a_ticket_with_the_holder_s_words(door: Door) -> None:
    account_id = (await registered(door)).session.account
    async with door.db.writing() as transaction:
        token = await mail_token.issue(transaction, account_id, "appeal", START_MS, "abuse")
    with pytest.raises(RelayError):
        await appeal.send(door.db, token, " ", "en", START_MS)
    made = await appeal.send(door.db, token, "It was not me.", "en", START_MS)
    story = await ticket.own(door.db, account_id, made.id)
    assert story.ticket.ticket_class == "appeal"
    assert [each.body for each in story.messages] == ["It was not me."]
    with pytest.raises(RelayError) as caught:
        await appeal.send(door.db, token, "Again.", "en", START_MS)
    assert caught.value.code == "token_not_usable"


async def test_U6_who_has_many_tickets_is_heard_too(door: Door) -> None:
    account_id = (await registered(door)).session.account
    for _ in range(OPEN_MAX):
        await ticket.open_ticket(door.db, Writing(
            "question", "subject", "body", account=account_id), START_MS)
    async with door.db.writing() as transaction:
        token = await mail_token.issue(transaction, account_id, "appeal", START_MS, "abuse")
    made = await appeal.send(door.db, token, "It was not me.", "en", START_MS)
    assert made.ticket_class == "appeal"
