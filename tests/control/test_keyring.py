"""Rotating the master key: everything stays readable, also for who runs meanwhile."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from relayd.control import account, audit, keyring
from relayd.core.actor import SHELL
from relayd.ops.config import MasterKey
from relayd.store.db import Database, open_database
from relayd.store.directory import StoreError
from relayd.store.master import FILE_NAME, alone
from relayd.wire.identity import EPOCH_MS, epoch_of

NOW = 1_763_000_000_000


async def test_D2_accounts_stay_readable_beside_a_running_process(db: Database) -> None:
    made = await account.create(db, "someone@example.com", "Some One", NOW)
    before = (db.directory / FILE_NAME).read_bytes()
    other = await open_database(db.directory)
    try:
        assert keyring.in_place(other)
        done = await keyring.rotate(other, SHELL, NOW)
        assert done.path == db.directory / FILE_NAME and done.keys >= 1
        assert (db.directory / FILE_NAME).read_bytes() != before
        for each in (db, other):
            assert await account.find(each, made.id) == made
        later = await account.create(db, "later@example.com", None, NOW)
        assert await account.find(other, later.id) == later
    finally:
        await other.close()
    events = [entry.event async for entry in audit.listing(db)]
    assert [event.details for event in events if event.action == "data_key.rotate"] == [
        f'{{"keys":{done.keys}}}']


async def test_D2_the_old_master_key_is_useless(db: Database) -> None:
    await account.create(db, "someone@example.com", None, NOW)
    before = (db.directory / FILE_NAME).read_bytes()
    await keyring.rotate(db, SHELL, NOW)
    await db.close()
    (db.directory / FILE_NAME).write_bytes(before)
    with pytest.raises(StoreError) as caught:
        await open_database(db.directory)
    assert caught.value.code == "store_master_key"


async def test_a_key_that_comes_from_no_file_goes_to_a_new_one(tmp_path: Path) -> None:
    db = await open_database(tmp_path / "store", master=MasterKey("ab" * 32))
    made = await account.create(db, "someone@example.com", None, NOW)
    assert not keyring.in_place(db)
    to = tmp_path / "next"
    await keyring.rotate(db, SHELL, NOW, to)
    with pytest.raises(FileExistsError):
        await keyring.rotate(db, SHELL, NOW, to)
    assert await account.find(db, made.id) == made
    await db.close()
    with pytest.raises(StoreError):
        await open_database(tmp_path / "store", master=MasterKey("ab" * 32))
    db = await open_database(tmp_path / "store", master=MasterKey(to.read_text().strip()))
    assert await account.find(db, made.id) == made
    await db.close()


async def test_a_rotation_that_fails_changes_nothing(db: Database) -> None:
    made = await account.create(db, "someone@example.com", None, NOW)
    before = (db.directory / FILE_NAME).read_bytes()
    await db.keyring.make("acct_broken")
    db.keyring._writer.execute(
        "UPDATE data_keys SET wrapped = randomblob(61) WHERE owner = 'acct_broken'")
    with pytest.raises(StoreError) as caught:
        await keyring.rotate(db, SHELL, NOW)
    assert caught.value.code == "seal_broken"
    assert (db.directory / FILE_NAME).read_bytes() == before
    assert sorted(path.name for path in db.directory.glob("master*")) == [FILE_NAME]
    assert await account.find(db, made.id) == made


async def test_of_rotations_at_the_same_time_none_takes_the_others_key_away(db: Database) -> None:
    made = await account.create(db, "someone@example.com", None, NOW)
    others = [await open_database(db.directory) for _ in range(3)]
    came_to = await asyncio.gather(
        *(keyring.rotate(each, SHELL, NOW) for each in others), return_exceptions=True)
    codes = [each.code for each in came_to if isinstance(each, StoreError)]
    assert set(codes) <= {"store_busy"} and len(codes) < len(others)
    for each in others:
        assert await account.find(each, made.id) == made
        await each.close()
    again = await open_database(db.directory)
    assert await account.find(again, made.id) == made
    await again.close()


async def test_one_that_was_cut_off_is_ended_by_the_next(db: Database) -> None:
    made = await account.create(db, "someone@example.com", None, NOW)
    late = await open_database(db.directory)
    key = bytes(range(32))
    db.keyring.master.draft(key)
    db.keyring.rewrap(key)  # and killed before the draft was in its place
    with alone(db.directory), pytest.raises(StoreError) as caught:
        await keyring.rotate(late, SHELL, NOW)
    assert caught.value.code == "store_busy"
    with suppress(StoreError):  # the wiping waits for who reads
        await keyring.rotate(late, SHELL, NOW)
    await late.close()
    again = await open_database(db.directory)
    assert await account.find(again, made.id) == made
    await again.close()


async def rotations(db: Database) -> list[tuple[str, int]]:
    """(by which way, when) of each rotation that the audit log knows of."""
    return [(entry.event.via, entry.event.at_ms) async for entry in audit.listing(db)
            if entry.event.action == "data_key.rotate"]


async def test_one_that_was_killed_before_its_event_is_told_by_whoever_comes_next(
        db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    await account.create(db, "someone@example.com", None, NOW)
    assert not await keyring.tell(db, NOW)

    def killed(*_: object) -> None:
        keyring._rotated(db, None)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(asyncio, "to_thread", killed)
        with pytest.raises(KeyboardInterrupt):
            await keyring.rotate(db, SHELL, NOW)
    assert await rotations(db) == []
    others = [await open_database(db.directory) for _ in range(3)]
    told = await asyncio.gather(*(keyring.tell(each, NOW + 5) for each in others))
    assert sorted(told) == [False, False, True]
    assert await rotations(db) == [("shell", NOW + 5)]
    for each in others:
        await each.close()
    await keyring.rotate(db, SHELL, NOW + 9)
    assert not await keyring.tell(db, NOW + 10)
    assert await rotations(db) == [("shell", NOW + 5), ("shell", NOW + 9)]


async def test_one_that_a_restored_copy_knows_nothing_of_is_told(db: Database) -> None:
    await account.create(db, "someone@example.com", None, NOW)
    await keyring.tell(db, NOW)
    db.keyring.rewrap(bytes(range(32)))
    assert await keyring.tell(db, NOW + 5)
    assert await rotations(db) == [("system", NOW + 5)]


async def test_nobody_is_said_to_have_made_another_s_rotation(db: Database) -> None:
    await account.create(db, "someone@example.com", None, NOW)
    await keyring.rotate(db, SHELL, NOW)
    db.keyring.rewrap(bytes(range(32)))
    assert await keyring.tell(db, NOW + 5)
    assert await rotations(db) == [("shell", NOW), ("system", NOW + 5)]


async def test_one_that_changes_nothing_is_not_told(db: Database) -> None:
    await account.create(db, "someone@example.com", None, NOW)
    await keyring.tell(db, NOW)
    with alone(db.directory), pytest.raises(StoreError):
        await keyring.rotate(db, SHELL, NOW)
    assert not await keyring.tell(db, NOW) and await rotations(db) == []


async def test_whom_a_pseudonym_stood_for_is_told_for_35_days_and_no_longer(db: Database) -> None:
    epoch = epoch_of(NOW)
    ended_ms = (epoch + 1) * EPOCH_MS
    told = keyring.pseudonym_secret(db.keyring, epoch)
    assert len(told) == 32 and told == keyring.pseudonym_secret(db.keyring, epoch)
    assert told != keyring.pseudonym_secret(db.keyring, epoch - 1)
    await keyring.turn_pseudonyms(db, ended_ms + keyring.PSEUDONYMS_MS - 1)
    assert told == keyring.pseudonym_secret(db.keyring, epoch)
    await keyring.turn_pseudonyms(db, ended_ms + keyring.PSEUDONYMS_MS)
    assert db.keyring.owners(prefix=keyring.PSEUDONYMS) == []
    # calls of a clock that is behind go on, and nobody can tell for whom
    again = keyring.pseudonym_secret(db.keyring, epoch)
    assert len({told, again, keyring.pseudonym_secret(db.keyring, epoch)}) == 3


async def test_the_next_epoch_s_key_is_ready_where_pseudonyms_are_used(db: Database) -> None:
    await keyring.turn_pseudonyms(db, NOW)
    assert db.keyring.owners(prefix=keyring.PSEUDONYMS) == []
    keyring.pseudonym_secret(db.keyring, epoch_of(NOW))
    await keyring.turn_pseudonyms(db, NOW)
    assert db.keyring.owners(prefix=keyring.PSEUDONYMS) == [
        f"{keyring.PSEUDONYMS}{epoch_of(NOW) + more}" for more in (0, 1)]
