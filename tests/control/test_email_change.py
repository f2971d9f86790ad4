"""Changing an address: both mailboxes say yes, in either order, or nothing changes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relayd.control import account, audit, email_change, password, registration, sign_in
from relayd.control.door import Door
from relayd.control.email_change import End
from relayd.core.errors import RelayError
from tests.fakes.door import CALLER, EMAIL, PASSWORD, WISH, mailed_token, mails, registered
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
    by = (CALLER, account_id)
    assert not await email_change.confirm(door, tokens[order[0]], order[0], by, START_MS)
    assert (await account.find(door.db, account_id)).email == EMAIL
    before = [entry.event.seq async for entry in audit.listing(door.db)]
    assert await email_change.confirm(door, tokens[order[1]], order[1], by, START_MS)
    assert (await account.find(door.db, account_id)).email == NEW
    [(kind, to, _)] = await mails(door.db)
    assert (kind, to) == ("email_changed", EMAIL)
    [event] = [entry.event async for entry in audit.listing(door.db)][len(before):]
    assert (event.actor, event.action, event.target, event.details) == (
        account_id, "account.change", account_id, '{"field":"email"}')
    await sign_in.sign_in(door, NEW, PASSWORD, CALLER, START_MS)
    with pytest.raises(RelayError):
        await email_change.confirm(door, tokens["new"], "new", by, START_MS)


async def test_who_lends_their_address_to_a_stranger_s_account_cannot(door: Door) -> None:
    """Somebody asks for another person's address: the owner of it follows the link."""
    await registered(door)
    tokens = await asked(door)
    owner = (await registered(
        door, replace(WISH, email="third@example.net", username="owner"))).session.account
    assert not await email_change.confirm(door, tokens["old"], "old", (CALLER, None), START_MS)
    for signed_in in (None, owner, ""):
        with pytest.raises(RelayError) as caught:
            await email_change.confirm(door, tokens["new"], "new", (CALLER, signed_in), START_MS)
        assert caught.value.code == "token_not_usable"
    assert (await account.find(door.db, EMAIL)).email == EMAIL
    # and the address is still to be had by whose it is
    mine = await registered(door, replace(WISH, email=NEW, username="mine"), START_MS + 1)
    assert (await account.find(door.db, NEW)).id == mine.session.account


@pytest.mark.parametrize("by_mail", [True, False])
async def test_a_new_password_ends_a_change_that_waits(door: Door, by_mail: bool) -> None:
    """Who got in and asked for their own address has lost it when the owner comes back."""
    opened = await registered(door)
    by = (CALLER, opened.session.account)
    tokens = await asked(door)
    await email_change.confirm(door, tokens["new"], "new", by, START_MS)
    if by_mail:
        await password.forgot(door, EMAIL, CALLER, START_MS)
        token = await mailed_token(door.db, "reset_password")
        await password.reset(door, token, "violet copper hourglass nine", CALLER, START_MS)
    else:
        await password.change(
            door, opened.session, "violet copper hourglass nine", CALLER, START_MS)
    with pytest.raises(RelayError) as caught:
        await email_change.confirm(door, tokens["old"], "old", by, START_MS)
    assert caught.value.code == "token_not_usable"
    assert (await account.find(door.db, EMAIL)).email == EMAIL


async def test_a_link_to_the_old_address_opens_nothing_after_the_change(door: Door) -> None:
    by = (CALLER, (await registered(door)).session.account)
    await password.forgot(door, EMAIL, CALLER, START_MS)
    token = await mailed_token(door.db, "reset_password")
    tokens = await asked(door)
    for end in KINDS:
        await email_change.confirm(door, tokens[end], end, by, START_MS)
    assert (await account.find(door.db, NEW)).email == NEW
    with pytest.raises(RelayError) as caught:
        await password.reset(door, token, "violet copper hourglass nine", CALLER, START_MS)
    assert caught.value.code == "token_not_usable"


async def test_one_end_alone_changes_nothing(door: Door) -> None:
    by = (CALLER, (await registered(door)).session.account)
    tokens = await asked(door)
    assert not await email_change.confirm(door, tokens["new"], "new", by, START_MS)
    with pytest.raises(RelayError) as caught:
        await email_change.confirm(door, tokens["new"], "old", by, START_MS)
    assert caught.value.code == "token_not_usable"
    late = START_MS + 30 * 60_000
    with pytest.raises(RelayError):
        await email_change.confirm(door, tokens["old"], "old", by, late)
    assert (await account.find(door.db, EMAIL)).email == EMAIL


async def test_asked_again_the_first_yes_counts_no_more(door: Door) -> None:
    by = (CALLER, (await registered(door)).session.account)
    first = await asked(door)
    await email_change.confirm(door, first["old"], "old", by, START_MS)
    second = await asked(door, "third@example.net")
    assert not await email_change.confirm(door, second["new"], "new", by, START_MS)
    assert (await account.find(door.db, EMAIL)).email == EMAIL


async def test_a_known_address_is_told_and_not_taken(door: Door) -> None:
    await registered(door)
    await registered(door, replace(WISH, email=NEW, username="second"), START_MS + 1)
    me = await account.find(door.db, EMAIL)
    await email_change.ask(door, me, NEW, CALLER, START_MS)
    sent = {kind: (to, fields["link"]) for kind, to, fields in await mails(door.db)}
    assert sent["email_known"][0] == NEW
    # whoever asks reads their own mailbox, and learns nothing there of who has an account
    assert {kind: to for kind, (to, _) in sent.items()} == {
        "email_known": NEW, KINDS["old"]: EMAIL}
    token = sent[KINDS["old"]][1].partition("token=")[2]
    assert not await email_change.confirm(door, token, "old", (CALLER, me.id), START_MS)
    assert (await account.find(door.db, EMAIL)).id == me.id


async def test_a_registration_that_nobody_verified_does_not_hold_the_address(door: Door) -> None:
    """A stranger signs up with it; who reads its mailbox may have it all the same."""
    by = (CALLER, (await registered(door)).session.account)
    stranger = replace(WISH, email=NEW, username="stranger")
    await registration.register(door, stranger, CALLER, START_MS)
    left = await account.find(door.db, NEW)
    await mails(door.db)
    tokens = await asked(door)
    for end in KINDS:
        await email_change.confirm(door, tokens[end], end, by, START_MS)
    assert (await account.find(door.db, NEW)).id == by[1]
    assert left.id in door.db.keyring.owners(destroyed=True)
    assert (await account.find(door.db, left.id)).state == "erased"


async def test_an_address_whose_account_can_be_read_no_more_is_taken(door: Door) -> None:
    by = (CALLER, (await registered(door)).session.account)
    tokens = await asked(door)
    lost = await account.create(door.db, NEW, None, START_MS)
    await door.db.keyring.destroy(lost.id)
    assert not await email_change.confirm(door, tokens["old"], "old", by, START_MS)
    with pytest.raises(RelayError) as caught:
        await email_change.confirm(door, tokens["new"], "new", by, START_MS)
    assert caught.value.code == "token_not_usable"
    me = await account.find(door.db, EMAIL)
    assert (me.id, me.email) == (by[1], EMAIL)
    assert await mails(door.db) == []
    await email_change.ask(door, me, NEW, CALLER, START_MS)
    assert {kind: to for kind, to, _ in await mails(door.db)} == {
        "email_known": NEW, KINDS["old"]: EMAIL}


async def test_who_proves_it_first_has_it(door: Door) -> None:
    by = (CALLER, (await registered(door)).session.account)
    tokens = await asked(door)
    await registered(door, replace(WISH, email=NEW, username="second"), START_MS + 1)
    assert not await email_change.confirm(door, tokens["old"], "old", by, START_MS)
    # and nobody is told that their address is changed now
    with pytest.raises(RelayError) as caught:
        await email_change.confirm(door, tokens["new"], "new", by, START_MS)
    assert caught.value.code == "token_not_usable"
    assert (await account.find(door.db, EMAIL)).email == EMAIL
    assert (await account.find(door.db, NEW)).username == "second"
