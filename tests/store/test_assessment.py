"""Self-assessments as rows: the newest is found, the oldest go."""

from __future__ import annotations

from relayd.core.assessment import Assessment, Judged
from relayd.store import assessment
from relayd.store.db import Database


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
