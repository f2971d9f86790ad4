"""Network records as rows: sealed under their month, in order of time, gone with its key."""

from __future__ import annotations

import pytest

from relayd.core.network import NetworkRecord
from relayd.core.ulid import ulid
from relayd.store import network
from relayd.store.db import Database
from relayd.store.directory import StoreError

NOVEMBER = 1_763_000_000_000
DECEMBER = 1_765_000_000_000
MONTHS = ("month:2025-11", "month:2025-12")


def record(at_ms: int, address: str = "192.0.2.7", account: str = "acct_1") -> NetworkRecord:
    return NetworkRecord(at_ms, account, "key_1", address, 4711, "1.3", "openai-python/3")


async def put(db: Database, *records: NetworkRecord) -> int:
    for month in MONTHS:
        await db.keyring.make(month)
    named = {ulid(each.at_ms, bytes(9) + bytes([n])): each for n, each in enumerate(records)}
    async with db.writing() as transaction:
        return await network.insert(transaction, named)


async def of(db: Database, account: str = "acct_1") -> list[NetworkRecord]:
    async with db.reading() as transaction:
        return [each async for batch in network.of_account(transaction, account, 0, 10 ** 15)
                for each in batch]


async def test_rows_are_what_they_were(db: Database) -> None:
    made = [record(NOVEMBER), record(NOVEMBER, "2001:db8::7"), record(DECEMBER)]
    assert await put(db, *made, record(NOVEMBER, account="acct_2")) == 4
    assert await of(db) == made


async def test_D2_the_files_have_none_of_it(db: Database) -> None:
    await put(db, record(NOVEMBER, "198.51.100.77"))
    await db.checkpoint()
    for path in db.directory.iterdir():
        if path.is_file():
            raw = path.read_bytes()
            assert b"198.51.100.77" not in raw and b"openai-python/3" not in raw, path.name


async def test_I2d_without_the_month_s_key_nothing_opens(db: Database) -> None:
    later = record(DECEMBER)
    await put(db, record(NOVEMBER), later)
    await db.keyring.destroy(MONTHS[0])
    assert await of(db) == [later]
    async with db.reading() as transaction:
        row = await transaction.row("SELECT id, sealed FROM network_records ORDER BY id LIMIT 1")
        assert row is not None
        with pytest.raises(StoreError) as caught:
            transaction.unseal(MONTHS[0], network.TABLE, "sealed", *row)
    assert caught.value.code == "data_key_gone"
    assert await put(db, record(NOVEMBER + 1)) == 0  # the month is over for good


async def test_a_row_in_another_s_place_is_refused(db: Database) -> None:
    await put(db, record(NOVEMBER), record(NOVEMBER + 1))
    async with db.writing() as transaction:
        await transaction.run("UPDATE network_records SET sealed ="
                              " (SELECT sealed FROM network_records ORDER BY id DESC LIMIT 1)")
    with pytest.raises(StoreError) as caught:
        await of(db)
    assert caught.value.code == "seal_broken"


async def test_the_oldest_go_first(db: Database) -> None:
    made = [record(NOVEMBER + n) for n in range(5)]
    await put(db, *reversed(made))
    async with db.writing() as transaction:
        assert await network.delete_before(transaction, NOVEMBER + 4, 3) == 3
        assert await network.delete_before(transaction, NOVEMBER + 4, 3) == 1
        assert await network.delete_before(transaction, NOVEMBER + 4, 3) == 0
    assert await of(db) == made[4:]


async def test_records_of_a_time_and_the_next_and_the_newest(db: Database) -> None:
    times = [NOVEMBER, NOVEMBER + 5, NOVEMBER + 5, DECEMBER]
    made = [record(at, f"192.0.2.{number}") for number, at in enumerate(times)]
    await put(db, *made, record(NOVEMBER - 7, account="acct_2"))

    async def between(since_ms: int, until_ms: int) -> list[NetworkRecord]:
        return [each async for batch in network.of_account(
            transaction, "acct_1", since_ms, until_ms) for each in batch]

    async with db.reading() as transaction:
        assert await between(NOVEMBER, NOVEMBER + 5) == made[:1]
        assert await between(NOVEMBER + 1, NOVEMBER + 6) == made[1:3]
        assert await between(NOVEMBER + 6, DECEMBER) == []
        assert [await network.next_ms(transaction, "acct_1", since_ms) for since_ms in (
            0, NOVEMBER, NOVEMBER + 1, NOVEMBER + 6, DECEMBER + 1)] == [
                NOVEMBER, NOVEMBER, NOVEMBER + 5, DECEMBER, None]
        assert await network.next_ms(transaction, "acct_2", 0) == NOVEMBER - 7
        for most in (1, 3, 9):
            assert [each async for batch in network.latest(transaction, "acct_1", most)
                    for each in batch] == [*reversed(made)][:most]
