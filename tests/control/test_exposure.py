"""An exposed key is flagged once, its owner is told, and the audit log has it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relayd.control import account, exposure, key, mail
from relayd.core.exposure import Exposure
from relayd.store import account as store_account
from relayd.store.db import Database
from relayd.store.directory import StoreError
from tests.fakes.records import START_MS

CONSOLE = "https://console.example"


async def test_D1_a_key_is_flagged_once_and_its_owner_is_told(db: Database) -> None:
    owner = await account.create(db, "ann@example.org", None, START_MS)
    made = (await key.create(db, owner.id, key.KeyWish("mine"), START_MS)).key
    seen = Exposure(made.id, owner.id, START_MS)
    assert await exposure.flag(db, [seen, Exposure("key_gone", owner.id, 1)], CONSOLE, 9) == 1
    assert await exposure.flag(db, [seen], CONSOLE, 10) == 0
    async with db.reading() as transaction:
        assert await transaction.rows("SELECT kind, account_id FROM outbox") == [
            ("key_exposed", owner.id)]
        assert await transaction.rows(
            "SELECT target, details FROM audit_log WHERE action = 'key.expose'") == [
            (owner.id, f'{{"key":"{made.id}"}}')]
    assert await exposure.usable(db, owner.id, START_MS) == [made.hint]
    await key.revoke(db, made.id, START_MS)
    assert await exposure.usable(db, owner.id, START_MS) == []


async def test_who_has_no_address_is_not_written_to(db: Database) -> None:
    owner = await account.create(db, "ann@example.org", None, START_MS)
    made = (await key.create(db, owner.id, key.KeyWish("mine"), START_MS)).key
    async with db.writing() as transaction:
        await store_account.update(transaction, replace(owner, email=None, state="erased"))
    assert await exposure.flag(db, [Exposure(made.id, owner.id, START_MS)], CONSOLE, 9) == 1
    assert await mail.listing(db) == []


async def test_a_store_that_fails_flags_nothing(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> str:
        raise StoreError("store_busy")

    owner = await account.create(db, "ann@example.org", None, START_MS)
    seen = []
    for name in ("one", "other"):
        made = (await key.create(db, owner.id, key.KeyWish(name), START_MS)).key
        seen.append(Exposure(made.id, owner.id, START_MS))
    with monkeypatch.context() as patch:
        patch.setattr(mail, "post", fails)
        with pytest.raises(StoreError):
            await exposure.flag(db, seen, CONSOLE, 9)
    assert await exposure.usable(db, owner.id, START_MS) == []
    assert await exposure.flag(db, seen, CONSOLE, 9) == 2


@pytest.mark.parametrize("lost", ["key", "column"])
async def test_an_account_that_can_be_read_no_more_keeps_no_other_waiting(
    db: Database, lost: str
) -> None:
    seen = []
    for name in ("lost", "ann"):
        owner = await account.create(db, f"{name}@example.org", None, START_MS)
        made = (await key.create(db, owner.id, key.KeyWish("mine"), START_MS)).key
        seen.append(Exposure(made.id, owner.id, START_MS))
    if lost == "key":
        await db.keyring.destroy(seen[0].account)
    else:
        async with db.writing() as transaction:
            await transaction.run("UPDATE accounts SET email = zeroblob(60) WHERE id = ?",
                                  (seen[0].account,))
            await transaction.run("UPDATE api_keys SET name = zeroblob(60) WHERE id = ?",
                                  (seen[0].key,))
    assert await exposure.flag(db, seen, CONSOLE, 9) == 2
    async with db.reading() as transaction:
        assert await transaction.rows("SELECT account_id FROM outbox") == [(seen[1].account,)]
