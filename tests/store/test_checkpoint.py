"""Checkpoints as rows: they are added, and let pruned events go and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relayd.core.audit import START, AuditEvent
from relayd.core.checkpoint import Checkpoint
from relayd.store import audit, checkpoint
from relayd.store.db import Database
from relayd.store.directory import StoreError

EVENT = AuditEvent(1, 5, None, "", "system", "audit.key", None, None, "{}")
ONE = Checkpoint(2, 20, bytes([2] * 32), bytes([9] * 32), 0, START, START, bytes([7] * 32),
                 bytes(64))
TWO = replace(ONE, seq=4, at_ms=40, hash=bytes([4] * 32), previous=ONE.digest())
THREE = replace(ONE, seq=5, at_ms=50, hash=bytes([5] * 32), previous=TWO.digest(), pruned_seq=2,
                pruned_hash=ONE.hash)


async def fill(db: Database, *made: Checkpoint) -> None:
    async with db.writing() as transaction:
        for seq in range(1, 6):
            await audit.insert(transaction, replace(EVENT, seq=seq), bytes([seq] * 32))
        for each in made:
            await checkpoint.insert(transaction, each)


async def refused(db: Database, sql: str) -> None:
    with pytest.raises(StoreError) as caught:
        async with db.writing() as transaction:
            await transaction.run(sql)
    assert caught.value.code == "store_refused"


async def test_rows_come_back_as_they_went(db: Database) -> None:
    async with db.reading() as transaction:
        assert await checkpoint.last(transaction) is None
    await fill(db, ONE, TWO)
    async with db.reading() as transaction:
        assert await checkpoint.listing(transaction) == [ONE, TWO]
        assert await checkpoint.last(transaction) == TWO
        assert await checkpoint.last_over(transaction, 41) == TWO
        assert await checkpoint.last_over(transaction, 40) == ONE
        assert await checkpoint.last_over(transaction, 20) is None
        assert await checkpoint.last_over(transaction, 5) is None
        assert [await checkpoint.following(transaction, seq) for seq in range(1, 6)] == [
            ONE, ONE, TWO, TWO, None]


async def test_only_what_a_checkpoint_says_is_pruned(db: Database) -> None:
    await fill(db, ONE, TWO)
    await refused(db, "DELETE FROM audit_log WHERE seq <= 2")
    async with db.writing() as transaction:
        await checkpoint.insert(transaction, THREE)
    await refused(db, "DELETE FROM audit_log WHERE seq <= 3")
    await refused(db, "DELETE FROM audit_checkpoints WHERE seq <= 2")
    async with db.writing() as transaction:
        assert await checkpoint.prune(transaction, 2) == 2
    async with db.reading() as transaction:
        assert [event.seq async for event, _ in audit.events(transaction)] == [3, 4, 5]
        assert await checkpoint.listing(transaction) == [ONE, TWO, THREE]
        assert await audit.head(transaction) == (5, bytes([5] * 32))


async def test_checkpoints_go_with_the_events_before_theirs(db: Database) -> None:
    await fill(db, ONE, TWO, replace(THREE, pruned_seq=4, pruned_hash=TWO.hash))
    async with db.writing() as transaction:
        assert await checkpoint.prune(transaction, 4) == 4
        assert [made.seq for made in await checkpoint.listing(transaction)] == [4, 5]


async def test_a_checkpoint_over_young_events_is_not_old(db: Database) -> None:
    async with db.writing() as transaction:
        for seq, at_ms in enumerate((5, 60, 7, 8), 1):
            await audit.insert(transaction, replace(EVENT, seq=seq, at_ms=at_ms), bytes(32))
        for made in (replace(ONE, seq=1), replace(ONE, seq=2, at_ms=21), TWO):
            await checkpoint.insert(transaction, made)
        for before_ms, seq in ((60, 1), (61, 4)):
            found = await checkpoint.last_over(transaction, before_ms)
            assert found is not None and found.seq == seq


async def test_without_events_the_log_goes_on_from_the_last_checkpoint(db: Database) -> None:
    async with db.writing() as transaction:
        for made in (ONE, TWO):
            await checkpoint.insert(transaction, made)
        assert await audit.head(transaction) == (TWO.seq, TWO.hash)
        await audit.insert(transaction, replace(EVENT, seq=5), bytes(32))


@pytest.mark.parametrize("sql", [
    "UPDATE audit_checkpoints SET at_ms = 0", "DELETE FROM audit_checkpoints",
    "INSERT OR REPLACE INTO audit_checkpoints SELECT * FROM audit_checkpoints WHERE seq = 2",
])
async def test_rows_neither_change_nor_go(db: Database, sql: str) -> None:
    await fill(db, ONE, TWO)
    await refused(db, sql)


@pytest.mark.parametrize("made", [replace(TWO, seq=3), replace(TWO, seq=1),
                                  replace(TWO, seq=9, pruned_seq=1)])
async def test_checkpoints_go_on(db: Database, made: Checkpoint) -> None:
    await fill(db, ONE, TWO, THREE)
    with pytest.raises(StoreError):
        async with db.writing() as transaction:
            await checkpoint.insert(transaction, made)
