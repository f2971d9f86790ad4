"""Changing an address: both mailboxes say yes, in either order, or nothing changes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relayd.control import account, email_change, sign_in
from relayd.control.door import Door
from relayd.control.email_change import End
from relayd.core.errors import RelayError
from tests.fakes.door import CALLER, EMAIL, PASSWORD, WISH, mails, registered
from tests.fakes.records import START_MS

NEW = "new.canary@example.net"
KINDS: dict[End, str] = {"old": "email_change_asked", "new": "email_change_confirm"}


async def asked(door: Door, email: str = NEW) -> dict[End, str]:
    me = await account.find(door.db, EMAIL)
    await email_change.ask(door, me, email, CALLER, START_MS)
    sent = {kind: (to, fields["link"]) for kind, to, fields in await mails(door.db)}
    assert sent[KINDS["old"]][0] == EMAIL and sent[KINDS["new"]][0] == email
    return {end: sent[kind][1].partition("token=")[2] for end, kind in KINDS.items()}


@pytest.mark.parametrize("order", [("old", "new"), ("new", "old")])
async def test_Y1_both_ends_say_yes(door: Door, order: tuple[End, End]) -> None:
    account_id = (await registered(door)).session.account
    tokens = await asked(door)
    assert not await email_change.confirm(door, tokens[order[0]], order[0], CALLER, START_MS)
    assert (await account.find(door.db, account_id)).email == EMAIL
    assert await email_change.confirm(door, tokens[order[1]], order[1], CALLER, START_MS)
    assert (await account.find(door.db, account_id)).email == NEW
    [(kind, to, _)] = await mails(door.db)
    assert (kind, to) == ("email_changed", EMAIL)
    await sign_in.sign_in(door, NEW, PASSWORD, CALLER, START_MS)
    with pytest.raises(RelayError):
        await email_change.confirm(door, tokens["new"], "new", CALLER, START_MS)


async def test_one_end_alone_changes_nothing(door: Door) -> None:
    await registered(door)
    tokens = await asked(door)
    assert not await email_change.confirm(door, tokens["new"], "new", CALLER, START_MS)
    with pytest.raises(RelayError) as caught:
        await email_change.confirm(door, tokens["new"], "old", CALLER, START_MS)
    assert caught.value.code == "token_not_usable"
    late = START_MS + 30 * 60_000
    with pytest.raises(RelayError):
        await email_change.confirm(door, tokens["old"], "old", CALLER, late)
    assert (await account.find(door.db, EMAIL)).email == EMAIL


async def test_asked_again_the_first_yes_counts_no_more(door: Door) -> None:
    await registered(door)
    first = await asked(door)
    await email_change.confirm(door, first["old"], "old", CALLER, START_MS)
    second = await asked(door, "third@example.net")
    assert not await email_change.confirm(door, second["new"], "new", CALLER, START_MS)
    assert (await account.find(door.db, EMAIL)).email == EMAIL


async def test_a_known_address_is_told_and_not_taken(door: Door) -> None:
    await registered(door)
    await registered(door, replace(WISH, email=NEW, username="second"), START_MS + 1)
    me = await account.find(door.db, EMAIL)
    await email_change.ask(door, me, NEW, CALLER, START_MS)
    assert [(kind, to) for kind, to, _ in await mails(door.db)] == [("email_known", NEW)]


async def test_who_proves_it_first_has_it(door: Door) -> None:
    await registered(door)
    tokens = await asked(door)
    await registered(door, replace(WISH, email=NEW, username="second"), START_MS + 1)
    await email_change.confirm(door, tokens["old"], "old", CALLER, START_MS)
    await email_change.confirm(door, tokens["new"], "new", CALLER, START_MS)
    assert (await account.find(door.db, EMAIL)).email == EMAIL
    assert (await account.find(door.db, NEW)).username == "second"
