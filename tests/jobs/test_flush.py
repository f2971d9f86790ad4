"""Flush: nothing is lost while the store fails, nothing is stored twice, the rest at stop."""

from __future__ import annotations

import asyncio
import io
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from relayd.control import usage
from relayd.core.price import Price, PriceBook, unit_prices
from relayd.core.record import CallRecord
from relayd.jobs import flush as flush_module
from relayd.jobs.flush import BATCH_RECORDS, Flush
from relayd.ops.logging import Logger
from relayd.store.db import FILE_NAME, Database
from relayd.store.record import CallFilter
from tests.fakes.records import call_record


class Meter:
    """A list with the two ends that Flush holds."""

    def __init__(self) -> None:
        self.records: list[CallRecord] = []

    def take(self) -> list[CallRecord]:
        taken, self.records = self.records, []
        return taken

    def give_back(self, records: list[CallRecord]) -> None:
        self.records = records + self.records


@contextmanager
def held(db: Database) -> Iterator[None]:
    """Another process holds the store's write lock."""
    other = sqlite3.connect(db.directory / FILE_NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


async def stored(db: Database) -> list[CallRecord]:
    return [record async for record in usage.calls(db, CallFilter())]


async def test_records_are_rated_by_the_prices_of_the_moment(db: Database) -> None:
    meter = Meter()
    books = [PriceBook([Price("*", unit_prices({"call": nano}))]) for nano in (9, 7)]
    flush = Flush(db, meter.take, meter.give_back, prices=lambda: books[-1])
    for _ in range(2):
        meter.records.append(call_record())
        assert await flush.flush()
        books.reverse()
    assert sorted([record.amount_nano for record in await stored(db)]) == [7, 9]


async def test_records_arrive_by_the_clock_and_the_rest_at_stop(db: Database) -> None:
    meter = Meter()
    flush = Flush(db, meter.take, meter.give_back, flush_seconds=0.01)
    running = asyncio.get_running_loop().create_task(flush.run())
    first, last = call_record(), call_record()
    meter.records.append(first)
    async with asyncio.timeout(5):
        while await stored(db) != [first]:
            await asyncio.sleep(0.01)
    meter.records.append(last)
    await flush.stop()
    await running
    assert await stored(db) == [first, last]
    assert (flush.posted, flush.lost, flush.healthy, meter.records) == (2, 0, True, [])


async def test_a_large_batch_is_stored_in_parts(db: Database) -> None:
    meter = Meter()
    flush = Flush(db, meter.take, meter.give_back)
    meter.records = records = [call_record() for _ in range(2 * BATCH_RECORDS + 5)]
    expected = list(records)
    assert await flush.flush() and await stored(db) == expected


async def test_a_store_that_fails_loses_nothing(db: Database) -> None:
    meter = Meter()
    flush = Flush(db, meter.take, meter.give_back)
    first, second = call_record(), call_record()
    meter.records.append(first)
    with held(db):
        assert not await flush.flush() and not await flush.flush()
        assert not flush.healthy and meter.records == [first]
        meter.records.append(second)
    assert await flush.flush() and flush.healthy
    assert await stored(db) == [first, second] and flush.lost == 0


async def test_failures_make_it_wait_longer_up_to_a_bound(db: Database) -> None:
    meter = Meter()
    flush = Flush(db, meter.take, meter.give_back, flush_seconds=4.0)
    pauses = [flush._pause_seconds()]
    with held(db):
        for _ in range(3):
            meter.records.append(call_record())
            await flush.flush()
            pauses.append(flush._pause_seconds())
    assert pauses == [4.0, 8.0, 10.0, 10.0]


async def test_memory_is_bounded_and_what_is_dropped_is_counted(db: Database) -> None:
    meter = Meter()
    flush = Flush(db, meter.take, meter.give_back, records_max=3)
    meter.records = records = [call_record() for _ in range(5)]
    oldest = records[:3]
    with held(db):
        assert not await flush.flush()
    assert meter.records == oldest and flush.lost == 2


async def test_a_record_that_is_refused_does_not_hold_up_others(db: Database) -> None:
    meter = Meter()
    flush = Flush(db, meter.take, meter.give_back)
    good = [call_record(), call_record()]
    meter.records = [good[0], call_record(attempts=-1), good[1]]
    assert await flush.flush() and flush.healthy
    assert await stored(db) == good
    assert (flush.posted, flush.lost, meter.records) == (2, 1, [])


async def test_what_cannot_be_stored_at_stop_is_counted(db: Database) -> None:
    meter, log = Meter(), io.StringIO()
    flush = Flush(db, meter.take, meter.give_back, log=Logger(stream=log))
    meter.records = [call_record()]
    with held(db):
        await flush.stop()
    assert flush.lost == 1 and meter.records == []
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["store_failed"] * 3 + ["records_lost"]
    assert lines[0]["code"] == "store_busy" and lines[-1]["lost"] == 1
    assert not any("bad_fields" in line for line in lines)


async def test_a_refused_record_is_logged_by_its_id_alone(db: Database) -> None:
    meter, log = Meter(), io.StringIO()
    flush = Flush(db, meter.take, meter.give_back, log=Logger(stream=log))
    record = call_record(attempts=-1, model="canary-model")
    meter.records = [record]
    await flush.flush()
    line = json.loads(log.getvalue())
    assert (line["event"], line["request_id"]) == ("record_refused", record.id)
    assert "canary" not in log.getvalue() and "bad_fields" not in line


async def test_a_cancelled_flush_gives_its_records_back(db: Database) -> None:
    meter = Meter()
    flush = Flush(db, meter.take, meter.give_back)
    record = call_record()
    meter.records = [record]
    with held(db):
        task = asyncio.get_running_loop().create_task(flush.flush())
        await asyncio.sleep(0.02)
        assert meter.records == []
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert meter.records == [record]
    await flush.stop()
    assert await stored(db) == [record]


async def test_the_wal_stays_bounded(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    meter = Meter()
    flush = Flush(db, meter.take, meter.give_back)
    monkeypatch.setattr(flush_module, "BATCH_RECORDS", 5000)
    wal = db.directory / f"{FILE_NAME}-wal"
    sizes = []
    for _ in range(12):
        meter.records = [call_record() for _ in range(5000)]
        assert await flush.flush()
        sizes.append(wal.stat().st_size)
    assert max(sizes) <= 8 * 1024 * 1024 and 0 in sizes


async def test_a_store_that_cannot_be_written_is_noticed_without_records(db: Database) -> None:
    meter = Meter()
    flush = Flush(db, meter.take, meter.give_back, flush_seconds=0.01)
    assert await flush.flush() and flush.healthy
    with held(db):
        assert not await flush.flush() and not flush.healthy
    assert await flush.flush() and flush.healthy
    with held(db):
        await flush.stop()
    assert flush.lost == 0
