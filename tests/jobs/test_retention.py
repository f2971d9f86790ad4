"""Retention, the job: as time passes records go, from the disk too; who posts hardly waits."""

from __future__ import annotations

import asyncio
import io
import json
import time

import pytest

from relayd.control import retention, usage
from relayd.core.retention import Terms
from relayd.core.timestamp import DAY_MS, HOUR_MS
from relayd.jobs.retention import Retention
from relayd.ops.logging import Logger
from relayd.store.db import FILE_NAME, Database
from relayd.store.directory import StoreError
from relayd.store.record import CallFilter
from tests.fakes.records import START_MS, call_record


class Clock:
    """Stands where the test puts it."""

    def __init__(self) -> None:
        self.ms = START_MS

    def __call__(self) -> int:
        return self.ms


def calls(days: int) -> Terms:
    """Terms in which calls are kept for so many days."""
    return Terms({"call_records": days})


async def left(db: Database) -> int:
    return len([each async for each in usage.calls(db, CallFilter())])


async def test_each_hour_goes_when_its_days_are_over(db: Database) -> None:
    clock, days = Clock(), [2]
    await usage.post(db, [call_record(started_at_ms=START_MS + n * HOUR_MS) for n in range(4)])
    lines = io.StringIO()
    job = Retention(db, lambda: calls(days[0]), now_ms=clock, log=Logger(stream=lines))
    found = []
    for later_ms in (0, 2 * DAY_MS + HOUR_MS - 1, 2 * DAY_MS + HOUR_MS,
                     2 * DAY_MS + 2 * HOUR_MS + 77):
        clock.ms = START_MS + later_ms
        await job.look()
        found.append(await left(db))
    assert found == [4, 4, 3, 2]
    days[0] = 1  # as a reload says
    assert await job.look() == 2
    assert job.swept_rows()["call_records"] == 4
    assert set(job.swept_at_seconds().values()) == {clock.ms / 1000}
    # nothing is said of nothing
    assert [(each["part"], each["records"]) for line in lines.getvalue().splitlines()
            if (each := json.loads(line))["event"] == "swept"] == [
        ("call_records", 1), ("call_records", 1), ("call_records", 2)]


async def test_nothing_goes_for_a_clock_that_is_not_believed(db: Database) -> None:
    clock, asked = Clock(), []
    await usage.post(db, [call_record()])

    async def not_believed(now_ms: int) -> bool:
        asked.append(now_ms)
        return False

    job = Retention(db, lambda: calls(1), now_ms=clock, believed=not_believed)
    clock.ms += 365 * DAY_MS
    assert await job.look() == 0 and await left(db) == 1
    # each category asks: a sweep may take long
    assert asked == [clock.ms] * len(retention.SWEEPERS)
    assert await retention.noted(db) == {}


async def test_it_runs_until_it_is_stopped(db: Database) -> None:
    clock = Clock()
    clock.ms += 2 * DAY_MS
    job = Retention(db, lambda: calls(1), first_seconds=0.01, every_seconds=0.01, now_ms=clock)
    running = asyncio.get_running_loop().create_task(job.run())
    for _ in range(2):
        await usage.post(db, [call_record()])
        async with asyncio.timeout(5):
            while await left(db):
                await asyncio.sleep(0.01)
    await job.stop()
    await running
    assert job.swept_rows()["call_records"] == 2


async def test_what_is_deleted_is_not_on_the_disk_any_more(db: Database) -> None:
    clock = Clock()
    await usage.post(db, [call_record(app="needle-of-this-test")]
                     + [call_record() for _ in range(50)])
    await db.checkpoint()
    files = [db.directory / FILE_NAME, db.directory / f"{FILE_NAME}-wal"]
    assert any(b"needle-of-this-test" in file.read_bytes() for file in files)
    clock.ms += 2 * DAY_MS
    assert await Retention(db, lambda: calls(1), now_ms=clock).look() == 51
    assert not any(b"needle-of-this-test" in file.read_bytes() for file in files)


async def test_many_records_go_while_others_are_posted(db: Database) -> None:
    clock = Clock()
    clock.ms += 2 * DAY_MS
    for _ in range(10):
        await usage.post(db, [call_record(started_at_ms=START_MS) for _ in range(1000)])
    job = Retention(db, lambda: calls(1), now_ms=clock)
    sweeping = asyncio.get_running_loop().create_task(job.look())
    waits = []
    while not sweeping.done():
        began = time.monotonic()
        await usage.post(db, [call_record(started_at_ms=clock.ms)])
        waits.append(time.monotonic() - began)
        await asyncio.sleep(0)
    assert await sweeping == 10_000
    assert await left(db) == len(waits) > 5
    assert sorted(waits)[len(waits) // 2] < 0.25  # of a machine that may be busy otherwise


async def test_a_store_that_fails_is_told_and_tried_again(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    clock.ms += 2 * DAY_MS
    await usage.post(db, [call_record() for _ in range(3)])
    lines = io.StringIO()
    job = Retention(db, lambda: calls(1), now_ms=clock, batch_records=1, log=Logger(stream=lines))
    with monkeypatch.context() as patch:
        patch.setattr(db, "checkpoint_if_large", fails)
        assert await job.look() == 1
    assert job.failures == 1 and '"sweep_failed","part":"' in lines.getvalue()
    assert await job.look() == 2


async def fails() -> bool:
    raise StoreError("store_failed")
