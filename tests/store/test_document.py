"""Documents: every version stays as it was."""

from __future__ import annotations

import pytest

from relayd.store import document
from relayd.store.db import Database
from relayd.store.directory import StoreError
from tests.fakes.editions import edition, publish


async def test_G1_published_versions_stay_retrievable(db: Database) -> None:
    await publish(db)
    await publish(db, version=2, effective_at_ms=50, gate="keys", items=("privacy",))
    async with db.reading() as transaction:
        assert await document.get(transaction, "privacy", 1, "en") == edition()
        assert await document.get(transaction, "privacy", 3, "en") is None
        newest = await document.newest(transaction, "privacy", "zh")
        assert newest is not None and (newest.version, newest.items) == (2, ("privacy",))
        before = await document.current(transaction, "privacy", "en", 49)
        after = await document.current(transaction, "privacy", "en", 50)
        assert before and after and (before.version, after.version) == (1, 2)
        assert [e.version for e in await document.listing(transaction, "en")] == [2, 1]
        assert await document.gating(transaction, 49) == []
        assert [e.version for e in await document.gating(transaction, 50)] == [2]


async def test_which_version_asks_anew(db: Database) -> None:
    await publish(db, version=2, gate="console", items=("improve", "privacy"), effective_at_ms=9)
    await publish(db, version=3, gate="none", items=())
    async with db.reading() as transaction:
        assert await document.asked_anew(transaction, "improve", 8) == 0
        assert await document.asked_anew(transaction, "improve", 9) == 2
        assert await document.asked_anew(transaction, "terms", 9) == 0


@pytest.mark.parametrize("sql", [
    "UPDATE documents SET published_at_ms = 1", "DELETE FROM documents"])
async def test_G2_no_version_and_no_date_changes(db: Database, sql: str) -> None:
    await publish(db)
    with pytest.raises(StoreError):
        async with db.writing() as transaction:
            await transaction.run(sql)


async def test_a_later_version_without_a_gate_does_not_open_an_earlier_one(db: Database) -> None:
    await publish(db, version=2, gate="console", items=("privacy",))
    await publish(db, version=3)
    async with db.reading() as transaction:
        assert [e.version for e in await document.gating(transaction, 1)] == [2]


async def test_the_policy_in_force_is_the_newest_that_has_begun(db: Database) -> None:
    async def numbers() -> list[int]:
        async with db.reading() as transaction:
            return [await document.policy_in_force(transaction, at) for at in (0, 9, 10, 20, 99)]

    assert await numbers() == [0, 0, 0, 0, 0]
    await publish(db, "terms", version=7)
    assert await numbers() == [0, 0, 0, 0, 0]
    await publish(db, version=1, effective_at_ms=0)
    await publish(db, version=2, effective_at_ms=10)
    await publish(db, version=3, effective_at_ms=50)
    assert await numbers() == [1, 1, 2, 2, 3]


async def test_gates_are_those_of_each_document_that_has_begun(db: Database) -> None:
    await publish(db, version=1, gate="keys", items=("privacy",))
    await publish(db, version=2, gate="console", items=("privacy",), effective_at_ms=10)
    await publish(db, "terms", version=1, gate="console", items=("terms",), effective_at_ms=5)
    async with db.reading() as transaction:
        for at, wanted in ((4, [("privacy", 1)]), (5, [("privacy", 1), ("terms", 1)]),
                           (10, [("privacy", 2), ("terms", 1)])):
            assert [(e.name, e.version) for e in await document.gating(transaction, at)] == wanted
