"""What is personal is sealed in its column, and found by a keyed hash."""

from __future__ import annotations

import pytest

from relayd.control import account
from relayd.store.db import Database, open_database
from relayd.store.directory import StoreError
from relayd.store.keyring import FILE_NAME as KEYS_NAME
from relayd.store.sealer import Sealer


async def test_none_stays_none(db: Database) -> None:
    async with db.reading() as transaction:
        assert transaction.seal("nobody", "t", "c", "r", None) is None
        assert transaction.unseal("nobody", "t", "c", "r", None) is None


async def test_a_text_comes_back_from_its_place_alone(db: Database) -> None:
    await db.keyring.make("acct_1")
    async with db.reading() as transaction:
        sealed = transaction.seal("acct_1", "t", "c", "r", "日本 ünï")
        assert transaction.unseal("acct_1", "t", "c", "r", sealed) == "日本 ünï"
        with pytest.raises(StoreError):
            transaction.unseal("acct_1", "t", "c", "s", sealed)


async def test_the_hash_of_a_value_stays_the_same(db: Database) -> None:
    async with db.reading() as transaction:
        before = transaction.blind("email", "a@b")
    other = await open_database(db.directory)
    async with other.reading() as transaction:
        assert transaction.blind("email", "a@b") == before
    await other.close()


async def test_a_store_without_its_keys_is_refused_and_gets_no_new_ones(db: Database) -> None:
    await db.close()
    for suffix in ("", "-wal", "-shm"):
        (db.directory / f"{KEYS_NAME}{suffix}").unlink(missing_ok=True)
    for _ in range(2):
        with pytest.raises(StoreError) as caught:
            await open_database(db.directory)
        assert caught.value.code == "store_keys"


@pytest.mark.parametrize("content", [b"", bytes(4096), b"no database" * 900],
                         ids=["empty", "zeros", "another file"])
async def test_a_store_whose_keys_are_damaged_is_refused_by_their_name(
    db: Database, content: bytes
) -> None:
    await account.create(db, "ann@example.org", None, 1)
    await db.close()
    path = db.directory / KEYS_NAME
    kept = path.read_bytes()
    path.write_bytes(content)
    for _ in range(2):
        with pytest.raises(StoreError) as caught:
            await open_database(db.directory)
        assert caught.value.code == "store_keys"
    path.write_bytes(kept)
    again = await open_database(db.directory)
    assert (await account.find(again, "ann@example.org")).email == "ann@example.org"
    await again.close()


async def test_its_keys_are_in_no_repr(db: Database) -> None:
    assert repr(Sealer(db.keyring, bytes(range(32)))) == "Sealer()"
