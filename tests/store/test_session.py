"""Sessions as rows: found by a hash, the address sealed."""

from __future__ import annotations

from dataclasses import replace

from relayd.core.session import AGE_MS_MAX, IDLE_MS_MAX, Session
from relayd.store import session
from relayd.store.db import Database
from tests.fakes.holders import two

DIGEST, OTHER = b"d" * 32, b"o" * 32


def made(account: str, name: str = "sess_1") -> Session:
    return Session(name, account, "factor", "password", "curl", "192.0.2.77", 10, 10, 10)


async def test_kept_found_replaced_and_ended(db: Database) -> None:
    mine, other = await two(db)
    async with db.writing() as transaction:
        await session.insert(transaction, made(mine), DIGEST)
        assert await session.find(transaction, DIGEST) == made(mine)
        renewed = replace(made(mine), stage="open", two_factors=True, used_at_ms=20,
                          proved_at_ms=20)
        await session.replace(transaction, renewed, OTHER)
        assert await session.find(transaction, DIGEST) is None
        assert await session.find(transaction, OTHER) == renewed
        await session.used(transaction, "sess_1", 30)
        assert [each.used_at_ms for each in await session.listing(transaction, mine)] == [30]
        assert await session.delete(transaction, other, "sess_1") == 0
        assert await session.delete(transaction, mine, "sess_1") == 1
        assert await session.listing(transaction, mine) == []


async def test_all_but_one(db: Database) -> None:
    mine, other = await two(db)
    async with db.writing() as transaction:
        for at, account in enumerate((mine, mine, other)):
            await session.insert(transaction, made(account, f"s{at}"), bytes([at]) * 32)
        assert await session.delete_all(transaction, mine, "s0") == 1
        assert await session.delete_all(transaction, mine) == 1
        assert len(await session.listing(transaction, other)) == 1


async def test_swept_by_age_and_idleness(db: Database) -> None:
    mine, _ = await two(db)
    async with db.writing() as transaction:
        await session.insert(transaction, made(mine), DIGEST)
        assert await session.sweep(transaction, 10 + IDLE_MS_MAX - 1, 9) == 0
        assert await session.sweep(transaction, 10 + IDLE_MS_MAX, 9) == 1
        await session.insert(
            transaction, replace(made(mine), used_at_ms=AGE_MS_MAX), DIGEST)
        assert await session.sweep(transaction, AGE_MS_MAX + 9, 9) == 0
        assert await session.sweep(transaction, AGE_MS_MAX + 10, 9) == 1


async def test_the_address_is_not_in_the_file(db: Database) -> None:
    mine, _ = await two(db)
    async with db.writing() as transaction:
        await session.insert(transaction, made(mine), DIGEST)
    await db.checkpoint()
    assert b"192.0.2.77" not in (db.directory / "relayd.db").read_bytes()


async def test_each_account_has_its_own_the_last_used_first(db: Database) -> None:
    mine, other = await two(db)
    async with db.writing() as transaction:
        for at, (account, used) in enumerate(((mine, 20), (mine, 40), (other, 30), (mine, 20))):
            await session.insert(
                transaction, replace(made(account, f"s{at}"), used_at_ms=used), bytes([at]) * 32)
        listed = await session.listing(transaction, mine)
        assert [each.id for each in listed] == ["s1", "s0", "s3"]
        await session.used(transaction, "s3", 50)
        assert [(each.id, each.used_at_ms) for each in await session.listing(
            transaction, mine)] == [("s3", 50), ("s1", 40), ("s0", 20)]
        assert [each.used_at_ms for each in await session.listing(transaction, other)] == [30]
        assert not await session.replace(transaction, made(mine, "gone"), DIGEST)
        assert await session.replace(transaction, made(mine, "s0"), DIGEST)
        found = await session.find(transaction, DIGEST)
        assert found is not None and found.id == "s0"
        assert len(await session.listing(transaction, mine)) == 3
