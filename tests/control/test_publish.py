"""The snapshot is one state of the store, with its version."""

from __future__ import annotations

from relayd.control import account, key, publish
from relayd.control.key import KeyWish
from relayd.store.db import Database, open_database
from relayd.store.transaction import BATCH_ROWS
from tests.fakes.records import START_MS


async def test_an_empty_store_has_an_empty_policy(db: Database) -> None:
    snapshot = await publish.load(db)
    assert snapshot.keys == {} and snapshot.version == await publish.policy_version(db)


async def test_all_keys_are_in_it_however_many(db: Database) -> None:
    made = await account.create(db, "ann@example.org", None, START_MS)
    issued = await key.create(db, made.id, KeyWish("first"), START_MS)
    async with db.writing() as transaction:
        await transaction.many(
            "INSERT INTO api_keys SELECT ?, account_id, ?, hint, name, app, models, state,"
            " created_at_ms, expires_at_ms, replaces FROM api_keys WHERE id = ?",
            [(f"key_{n}", n.to_bytes(32, "big"), issued.key.id) for n in range(2 * BATCH_ROWS)])
    snapshot = await publish.load(db)
    assert len(snapshot.keys) == 2 * BATCH_ROWS + 1
    assert snapshot.keys[(5).to_bytes(32, "big")].key == "key_5"


async def test_another_process_bumps_the_version(db: Database) -> None:
    before = await publish.policy_version(db)
    other = await open_database(db.directory)
    await account.create(other, "ann@example.org", None, START_MS)
    await other.close()
    assert await publish.policy_version(db) == before + 1
