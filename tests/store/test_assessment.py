"""Self-assessments as rows: the newest is found, the oldest go."""

from __future__ import annotations

from pathlib import Path

import pytest

from relayd.core.assessment import Assessment, Judged
from relayd.store import assessment, migration
from relayd.store.db import Database, open_database
from relayd.store.migration import known


async def test_the_newest_is_found_and_the_oldest_go(db: Database) -> None:
    async with db.reading() as transaction:
        assert await assessment.last(transaction) is None
    made = [Assessment(at, (Judged("audit", "ok"), Judged("canary", "warn", at)))
            for at in range(5)]
    async with db.writing() as transaction:
        for each in made:
            await assessment.insert(transaction, each, 3)
        assert await assessment.last(transaction) == made[-1]
        assert await transaction.rows("SELECT DISTINCT at_ms FROM assessments") == [
            (2,), (3,), (4,)]
        # a clock that was ahead is set right
        await assessment.insert(transaction, made[3], 3)
        assert await assessment.last(transaction) == made[3]


async def test_D4_assessments_of_an_older_relayd_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(migration, "known", lambda every=known(): every[:18])
    old = await open_database(tmp_path / "store")
    async with old.writing() as transaction:
        await assessment.insert(transaction, Assessment(5, (Judged("canary", "warn", 40),)), 9)
    await old.close()
    monkeypatch.undo()
    db = await open_database(tmp_path / "store")
    async with db.writing() as transaction:
        found = await assessment.last(transaction)
        assert found == Assessment(5, (Judged("canary", "warn", 40),))
        made = Assessment(9, (Judged("dependencies", "ok", 3),))
        await assessment.insert(transaction, made, 9)
        assert await assessment.last(transaction) == made
    await db.close()
