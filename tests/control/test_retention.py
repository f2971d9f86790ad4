"""Retention: whole hours go, the oldest first; their sums stay, and the checks know of it."""

from __future__ import annotations

from relayd.control import journal, ledger, retention, usage
from relayd.core.timestamp import HOUR_MS
from relayd.store.applied import Applied
from relayd.store.db import Database
from relayd.store.journal import JournalWriter
from relayd.store.journal_lane import claim
from relayd.store.record import CallFilter
from tests.fakes.records import START_MS, call_record


def test_the_end_is_the_start_of_an_hour() -> None:
    now_ms = START_MS + 5 * retention.DAY_MS + HOUR_MS - 1
    assert retention.ends_ms(now_ms, 5) == START_MS
    assert retention.ends_ms(now_ms + 1, 5) == START_MS + HOUR_MS
    assert retention.ends_ms(now_ms, 36_500) == 0


async def test_the_oldest_go_first_and_the_sums_stay(db: Database) -> None:
    moments = [START_MS + 5, START_MS + HOUR_MS - 1, START_MS + HOUR_MS, START_MS + 3 * HOUR_MS]
    records = [call_record(started_at_ms=moment) for moment in moments]
    await usage.post(db, list(reversed(records)))
    before = await usage.totals(db, CallFilter())
    end = START_MS + 2 * HOUR_MS
    assert await retention.kept_from_ms(db) == 0
    assert await retention.sweep_batch(db, end, 2) == 2
    assert [each async for each in usage.calls(db, CallFilter())] == records[2:]
    assert await retention.kept_from_ms(db) == end
    assert await retention.sweep_batch(db, end, 2) == 1
    assert await retention.sweep_batch(db, end, 2) == 0
    assert [each async for each in usage.calls(db, CallFilter())] == records[3:]
    assert await usage.totals(db, CallFilter()) == before


async def test_nothing_to_delete_changes_nothing(db: Database) -> None:
    await usage.post(db, [call_record()])
    assert await retention.sweep_batch(db, START_MS) == 0
    assert await retention.kept_from_ms(db) == 0


async def test_days_that_grow_again_bring_nothing_back(db: Database) -> None:
    await usage.post(db, [call_record(started_at_ms=START_MS + n * HOUR_MS) for n in range(3)])
    await retention.sweep_batch(db, START_MS + 2 * HOUR_MS)
    await usage.post(db, [call_record(started_at_ms=START_MS - 5)])
    assert await retention.sweep_batch(db, START_MS) == 1
    assert await retention.kept_from_ms(db) == START_MS + 2 * HOUR_MS


async def test_the_ledger_is_held_against_what_is_kept(db: Database) -> None:
    await usage.post(db, [call_record(started_at_ms=START_MS + n * HOUR_MS) for n in range(3)])
    await retention.sweep_batch(db, START_MS + HOUR_MS)
    assert await ledger.verify(db) == []
    async with db.writing() as transaction:
        await transaction.run("UPDATE rollups SET calls = 7")
    assert [each.key.hour_ms for each in await ledger.verify(db)] == [
        START_MS + HOUR_MS, START_MS + 2 * HOUR_MS]


async def test_a_call_of_the_journal_that_was_swept_is_not_lost(db: Database) -> None:
    (lane,) = claim(db.directory)
    writer = JournalWriter(lane.directory)
    await writer.start()
    swept, missing = call_record(), call_record(started_at_ms=START_MS + HOUR_MS)
    assert swept.started_at_ms < START_MS + HOUR_MS
    for record in (swept, missing):
        writer.close(record)
    await usage.post(db, [swept], applied=Applied(0, 2))
    await retention.sweep_batch(db, START_MS + HOUR_MS)
    found = await journal.verify(db)
    assert [each.logged for each in found.mismatches] == [missing]
    await writer.stop(stored=True)
    lane.release()
