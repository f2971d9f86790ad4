"""Steps begin where the period's do; each has its own currency and name."""

from __future__ import annotations

from relayd.core.columns import in_parts
from relayd.core.rollup import rollups
from relayd.core.series import DAY_MS, period
from relayd.core.timestamp import HOUR_MS
from relayd.store import rollup, series
from relayd.store.db import Database
from tests.fakes.records import START_MS, call_record


async def test_days_are_summed_by_column_and_currency(db: Database) -> None:
    records = [
        call_record(started_at_ms=START_MS + 23 * HOUR_MS, model="a"),
        call_record(started_at_ms=START_MS + 5, model="a"),
        call_record(started_at_ms=START_MS + 6, model=None),
        call_record(started_at_ms=START_MS + 7, model="a", currency="CNY"),
        call_record(started_at_ms=START_MS + DAY_MS, model="a"),
    ]
    async with db.writing() as transaction:
        await rollup.add(transaction, rollups(in_parts(records)))
    wanted = period("7d", START_MS + DAY_MS)
    async with db.reading() as transaction:
        found = await series.points(transaction, "acct_1", wanted, "model")
    assert [(point.at_ms, point.name, point.currency, point.sums.calls) for point in found] == [
        (START_MS, "", "USD", 1), (START_MS, "a", "CNY", 1), (START_MS, "a", "USD", 2),
        (START_MS + DAY_MS, "a", "USD", 1)]
