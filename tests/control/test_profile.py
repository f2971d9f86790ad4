"""The profile: clean values, one username each, what changed is in the log without its values."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relayd.control import account, audit, profile
from relayd.control.door import Door
from relayd.control.profile import Profile
from relayd.core.errors import RelayError
from tests.fakes.door import CALLER, WISH, registered
from tests.fakes.records import START_MS

WANTED = Profile(" new-name ", "Ann", "zh", "de")


async def test_Y1_changed_and_told_by_field(door: Door) -> None:
    account_id = (await registered(door)).session.account
    actor = CALLER.actor(account_id)
    changed = await profile.change(door.db, actor, account_id, WANTED, START_MS)
    assert (changed.username, changed.name, changed.language, changed.country) == (
        "new-name", "Ann", "zh", "DE")
    assert await account.find(door.db, account_id) == changed
    await profile.change(door.db, actor, account_id, WANTED, START_MS)
    events = [each.event async for each in audit.listing(door.db, target=account_id)
              if each.event.action == "account.change"]
    assert [event.details for event in events] == ['{"field":"username+name+language+country"}']


@pytest.mark.parametrize("wish", [
    replace(WANTED, username="a@b"), replace(WANTED, username=""), replace(WANTED, name="\n"),
    replace(WANTED, country="Germany"), replace(WANTED, country="D"),
    replace(WANTED, language="fr"),  # type: ignore[arg-type]
])
async def test_what_is_refused(door: Door, wish: Profile) -> None:
    account_id = (await registered(door)).session.account
    with pytest.raises(RelayError) as caught:
        await profile.change(door.db, CALLER.actor(account_id), account_id, wish, START_MS)
    assert caught.value.code == "invalid_value"


async def test_a_username_is_one_account_s(door: Door) -> None:
    account_id = (await registered(door)).session.account
    await registered(door, replace(WISH, email="b@example.org", username="taken"), START_MS + 1)
    with pytest.raises(RelayError) as caught:
        await profile.change(door.db, CALLER.actor(account_id), account_id,
                             replace(WANTED, username="TAKEN"), START_MS)
    assert caught.value.code == "username_taken"
    mine = await account.find(door.db, account_id)
    await profile.change(door.db, CALLER.actor(account_id), account_id,
                         replace(WANTED, username=mine.username), START_MS)
