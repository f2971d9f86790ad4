"""Margins as rows: a day is stale until it has what the hours' sums have."""

from __future__ import annotations

from relayd.control import usage
from relayd.core.margin import Margin, MarginKey
from relayd.core.timestamp import DAY_MS
from relayd.store import margin
from relayd.store.db import Database
from tests.fakes.records import START_MS, call_record


async def test_a_day_is_stale_until_its_rows_fit(db: Database) -> None:
    await usage.post(db, [
        call_record(started_at_ms=START_MS, amount_nano=5),
        call_record(started_at_ms=START_MS + DAY_MS, amount_nano=7)])
    until = START_MS + 2 * DAY_MS
    key = MarginKey(START_MS, "gpt-4o-mini", "openai", "USD")
    async with db.writing() as transaction:
        assert await margin.stale(transaction, 0, until, 9) == [START_MS, START_MS + DAY_MS]
        assert await margin.stale(transaction, 0, until, 1) == [START_MS]
        assert await margin.stale(transaction, START_MS + 1, until, 9) == [START_MS + DAY_MS]
        for kept in (Margin(1, 4, 0), Margin(2, 5, 0)):
            await margin.put(transaction, START_MS, {key: kept})
            assert len(await margin.stale(transaction, 0, until, 9)) == 2
        await margin.put(transaction, START_MS, {key: Margin(1, 5, 3, 0)})
        assert await margin.stale(transaction, 0, until, 9) == [START_MS + DAY_MS]
        assert await margin.listing(transaction, START_MS, until) == {key: Margin(1, 5, 3, 0)}
        assert await margin.listing(transaction, START_MS + 1, until) == {}
        assert await margin.calls(transaction, START_MS, until) == 2


async def test_rows_of_no_calls_are_stale(db: Database) -> None:
    async with db.writing() as transaction:
        await margin.put(transaction, START_MS, {
            MarginKey(START_MS, "m", "p", "USD"): Margin(1, 5, 3, 0)})
        assert await margin.stale(transaction, 0, START_MS + DAY_MS, 9) == [START_MS]
