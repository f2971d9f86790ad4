"""What signing in leaves behind goes by its own term, however much there is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relayd.control import account, identity, mail_token, registration, role, session, sign_in
from relayd.control.door import Door
from relayd.core.actor import SHELL, Actor
from relayd.core.timestamp import DAY_MS
from tests.fakes.door import CALLER, EMAIL, PASSWORD, WISH, registered
from tests.fakes.records import START_MS


async def rows(door: Door, table: str) -> int:
    async with door.db.reading() as transaction:
        found = await transaction.row(f"SELECT count(*) FROM {table}")
    assert found is not None
    return int(found[0])


async def test_R1_each_goes_by_its_own_term(door: Door) -> None:
    holder = await registered(door)
    await registration.register(
        door, replace(WISH, email="late@example.org", username="late"), CALLER, START_MS)
    await role.give(door.db, SHELL, holder.session.account, "support", START_MS)
    await sign_in.sign_in(door, EMAIL, PASSWORD, CALLER, START_MS)
    operator = Actor(holder.session.account, frozenset({"support"}))
    late = await account.find(door.db, "late@example.org")
    await role.reveal(door.db, operator, late.id, "ticket", START_MS, "/")
    before = await identity.sweep(door.db, START_MS + 29 * 60_000)
    assert not any(before.values()) and await rows(door, "reveals") == 0
    done = await identity.sweep(door.db, START_MS + 31 * 60_000)
    assert done["mail_links"] == 2 and await rows(door, "mail_tokens") == 0
    done = await identity.sweep(door.db, START_MS + DAY_MS + 1)
    assert done["registrations"] == 1 and done["sessions"] == 1
    assert await session.listing(door.db, holder.session.account, START_MS) == []
    assert not any((await identity.sweep(door.db, START_MS + 190 * DAY_MS)).values())
    done = await identity.sweep(door.db, START_MS + 190 * DAY_MS + 1)
    assert done["sign_ins"] == 1 and await rows(door, "sign_ins") == 0


async def test_more_than_a_batch_goes_at_once(
    door: Door, monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[int] = []

    async def checkpoint_if_large() -> bool:
        written.append(door.db.sizes()["wal"])
        return await door.db.checkpoint()

    monkeypatch.setattr(door.db, "checkpoint_if_large", checkpoint_if_large)
    account_id = (await registered(door)).session.account
    async with door.db.writing() as transaction:
        for at in range(identity.BATCH + 20):
            await session.store_session.insert(
                transaction, session.Session(f"s{at}", account_id, "open", "password", "curl",
                                             None, START_MS, START_MS, START_MS),
                at.to_bytes(32, "big"))
        await mail_token.issue(transaction, account_id, "reset", START_MS)
    done = await identity.sweep(door.db, START_MS + 2 * DAY_MS)
    assert done == {"registrations": 0, "mail_links": 2, "sessions": identity.BATCH + 21,
                    "sign_ins": 0}
    # what a batch wrote does not wait for the next one's
    assert len(written) == 3 and await rows(door, "sessions") == 0
