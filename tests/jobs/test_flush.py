"""Flush: nothing is lost while the store fails, nothing is stored twice, the rest at stop."""

from __future__ import annotations

import asyncio
import io
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from relayd.control import usage
from relayd.core.columns import PART_RECORDS, Columns
from relayd.core.price import Price, PriceBook, unit_prices
from relayd.core.record import CallRecord
from relayd.jobs import flush as flush_module
from relayd.jobs.flush import BATCH_RECORDS, Flush
from relayd.ops.clock import monotonic
from relayd.ops.logging import Logger
from relayd.relay.meter import Meter
from relayd.store import applied, journal_replay
from relayd.store.db import FILE_NAME, Database
from relayd.store.directory import StoreError
from relayd.store.journal import JournalWriter
from relayd.store.journal_lane import claim
from relayd.store.record import CallFilter
from tests.fakes.records import call_record


class Lane:
    """A store, a journal with its meter, and the job that brings one to the other."""

    def __init__(self, db: Database, journal: JournalWriter, records_max: int = 1000) -> None:
        self.db = db
        self.journal = journal
        self.meter = Meter(journal, records_max)
        self.log = io.StringIO()

    def flush(self, **wishes: Any) -> Flush:
        return Flush(self.db, self.meter, self.journal, log=Logger(stream=self.log), **wishes)

    def add(self, *records: CallRecord) -> list[CallRecord]:
        for record in records:
            self.meter.append(record)
        return list(records)

    def events(self) -> list[dict[str, Any]]:
        found = [json.loads(line) for line in self.log.getvalue().splitlines()]
        assert not any("bad_fields" in line for line in found)
        return found


@pytest.fixture
async def lane(db: Database) -> AsyncIterator[Lane]:
    (owned,) = claim(db.directory)
    journal = JournalWriter(owned.directory, segment_bytes=20_000)
    await journal.start()
    yield Lane(db, journal)
    await journal.stop(stored=True)
    owned.release()


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


async def position(db: Database) -> int:
    async with db.reading() as transaction:
        return await applied.position(transaction, 0)


async def test_records_arrive_by_the_clock_and_the_rest_at_stop(lane: Lane) -> None:
    flush = lane.flush(flush_seconds=0.01)
    running = asyncio.get_running_loop().create_task(flush.run())
    (first,) = lane.add(call_record())
    async with asyncio.timeout(5):
        while await stored(lane.db) != [first]:
            await asyncio.sleep(0.01)
    (last,) = lane.add(call_record())
    assert await flush.stop()
    await running
    assert await stored(lane.db) == [first, last]
    assert (flush.posted, flush.refused, flush.healthy, len(lane.meter)) == (2, 0, True, 0)
    assert await position(lane.db) == 2


async def test_a_record_is_no_older_than_the_flush_before_it(
    lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(flush_module, "monotonic", lambda: now)
    flush = lane.flush()
    lane.add(call_record())
    now += 50.0
    assert flush.oldest_seconds() == 50.0
    assert await flush.flush() and flush.oldest_seconds() == 0.0
    lane.add(call_record())
    assert flush.oldest_seconds() == 0.0
    now += 5.0
    assert flush.oldest_seconds() == 5.0


async def test_records_do_not_wait_for_a_probe(
    lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flush_module, "PROBE_SECONDS", 3600.0)
    flush = lane.flush(flush_seconds=0.01)
    assert await flush.flush()
    running = asyncio.create_task(flush.run())
    for posted in (1, 2):
        lane.add(call_record())
        async with asyncio.timeout(5):
            while flush.posted != posted:
                await asyncio.sleep(0.01)
    assert await flush.stop()
    await running


async def test_a_large_batch_is_stored_in_parts(lane: Lane) -> None:
    lane.meter = Meter(lane.journal)
    records = lane.add(*(call_record() for _ in range(2 * BATCH_RECORDS + 5)))
    assert await lane.flush().flush() and await stored(lane.db) == records


async def test_records_are_rated_by_the_prices_of_the_moment(lane: Lane) -> None:
    books = [PriceBook([Price("*", unit_prices({"call": nano}))]) for nano in (9, 7)]
    flush = lane.flush(prices=lambda: books[-1])
    for _ in range(2):
        lane.add(call_record())
        assert await flush.flush()
        books.reverse()
    assert sorted([record.amount_nano for record in await stored(lane.db)]) == [7, 9]


async def test_what_the_journal_gives_again_is_told_once(
    lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that ends while the journal is read is in what is read, and in memory."""
    lane.meter = Meter(lane.journal, 2)
    told: list[CallRecord] = []
    flush = lane.flush(tell=lambda part: told.extend(part.records))
    wanted = lane.add(*(call_record() for _ in range(5)))
    read = lane.journal.read

    async def later(after: int, until: int) -> journal_replay.Batch:
        wanted.extend(lane.add(call_record()))
        return await read(after, until)

    monkeypatch.setattr(lane.journal, "read", later)
    assert await flush.flush()
    assert told == await stored(lane.db) == wanted and flush.posted == len(wanted) == 6


async def test_what_was_stored_is_told_once_and_rated(lane: Lane) -> None:
    told: list[CallRecord] = []
    sizes: list[int] = []

    def tell(part: Columns) -> None:
        told.extend(part.records)
        sizes.append(len(part))

    flush = lane.flush(
        tell=tell, prices=lambda: PriceBook([Price("*", unit_prices({"call": 9}))]))
    with held(lane.db):
        lane.add(*(call_record() for _ in range(PART_RECORDS + 1)))
        assert not await flush.flush() and not told
    lane.add(call_record(attempts=-1))
    assert await flush.flush() and await flush.flush()
    assert told == await stored(lane.db) and max(sizes) == PART_RECORDS
    assert {record.amount_nano for record in told} == {9}
    assert (flush.failures, flush.refused, flush.posted) == (1, 1, PART_RECORDS + 1)


async def test_a_store_that_fails_loses_nothing(lane: Lane) -> None:
    flush = lane.flush()
    (first,) = lane.add(call_record())
    with held(lane.db):
        assert not await flush.flush() and not await flush.flush()
        assert not flush.healthy and len(lane.meter) == 1 and flush.oldest_seconds() > 0.1
        (second,) = lane.add(call_record())
    assert await flush.flush() and flush.healthy and flush.oldest_seconds() == 0.0
    assert await stored(lane.db) == [first, second]


async def test_failures_make_it_wait_longer_up_to_a_bound(lane: Lane) -> None:
    flush = lane.flush(flush_seconds=4.0)
    pauses = [flush._pause_seconds()]
    with held(lane.db):
        for _ in range(3):
            lane.add(call_record())
            await flush.flush()
            pauses.append(flush._pause_seconds())
    assert pauses == [4.0, 8.0, 10.0, 10.0]


async def test_what_memory_has_no_room_for_is_read_from_the_journal(
    lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_replay, "BATCH_RECORDS", 7)
    lane.meter = Meter(lane.journal, records_max=10)
    flush = lane.flush()
    records: list[CallRecord] = []
    with held(lane.db):
        for _ in range(5):
            records += lane.add(*(call_record() for _ in range(20)))
            assert not await flush.flush()
            await lane.journal.work()
        assert len(lane.meter._records) <= 10 and len(lane.meter) >= 100
    records += lane.add(call_record())
    assert await flush.flush() and len(lane.meter) == 0
    records += lane.add(call_record())
    assert await flush.flush() and await stored(lane.db) == records
    assert (len(lane.meter), flush.refused) == (0, 0)
    assert await position(lane.db) == lane.journal.number == 102


async def test_what_the_journal_has_not_is_not_counted_for_ever(lane: Lane) -> None:
    lane.meter.elsewhere = 3
    assert await lane.flush().flush() and lane.meter.elsewhere == 0


async def test_records_that_come_while_it_catches_up(lane: Lane) -> None:
    lane.meter = Meter(lane.journal, records_max=10)
    flush = lane.flush()
    records = lane.add(*(call_record() for _ in range(30)))
    catching_up = asyncio.gather(flush.flush())
    for _ in range(30):
        await asyncio.sleep(0)
        records += lane.add(call_record())
    await catching_up
    assert await flush.stop() and await stored(lane.db) == records


async def test_files_go_once_their_calls_are_stored(lane: Lane) -> None:
    flush = lane.flush()
    for _ in range(20):
        lane.add(*(call_record() for _ in range(20)))
        await lane.journal.work()
    assert lane.journal.segments > 3
    with held(lane.db):
        await flush.flush()
    await lane.journal.work()
    assert lane.journal.segments > 3
    await flush.flush()
    await lane.journal.work()
    assert lane.journal.segments == 1


async def test_a_record_that_is_refused_does_not_hold_up_others(lane: Lane) -> None:
    flush = lane.flush()
    good = [call_record(), call_record()]
    lane.add(good[0], call_record(attempts=-1), good[1])
    assert await flush.flush() and flush.healthy
    assert await stored(lane.db) == good
    assert (flush.posted, flush.refused, len(lane.meter)) == (2, 1, 0)
    assert await position(lane.db) == 3


async def test_what_cannot_be_stored_at_stop_is_left_in_the_journal(lane: Lane) -> None:
    flush = lane.flush()
    (record,) = lane.add(call_record())
    with held(lane.db):
        assert not await flush.stop()
    assert (await lane.journal.read(0, 1)).records == [record]
    events = lane.events()
    assert [line["event"] for line in events] == ["store_failed", "records_left"]
    assert events[0]["code"] == "store_busy" and events[-1]["unflushed"] == 1
    assert flush.failures == 3


async def test_a_store_that_fails_at_stop_is_no_fault_where_nothing_is_left(lane: Lane) -> None:
    flush = lane.flush()
    with held(lane.db):
        assert await flush.stop()
    assert [line["event"] for line in lane.events()] == ["store_failed"]


async def test_a_store_that_fails_for_long_is_told_once_a_minute_and_when_it_works(
    lane: Lane,
) -> None:
    flush = lane.flush()
    lane.add(call_record())
    with held(lane.db):
        for _ in range(5):
            assert not await flush.flush()
    [told] = lane.events()
    # the first failure: the pause after it is twice the usual one
    assert {name: told[name] for name in ("event", "code", "records", "retry_ms")} == {
        "event": "store_failed", "code": "store_busy", "records": 1, "retry_ms": 2000}
    for _ in range(2):
        assert await flush.flush()
    assert [line["event"] for line in lane.events()] == ["store_failed", "store_takes_records"]


async def test_a_refused_record_is_logged_by_its_id_alone(lane: Lane) -> None:
    (record,) = lane.add(call_record(attempts=-1, model="canary-model"))
    await lane.flush().flush()
    (line,) = lane.events()
    assert (line["event"], line["request_id"]) == ("record_refused", record.id)
    assert "canary" not in lane.log.getvalue()


async def test_a_cancelled_flush_gives_its_records_back(lane: Lane) -> None:
    flush = lane.flush()
    (record,) = lane.add(call_record())
    with held(lane.db):
        task = asyncio.get_running_loop().create_task(flush.flush())
        await asyncio.sleep(0.02)
        assert len(lane.meter) == 0
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert len(lane.meter) == 1
    await flush.stop()
    assert await stored(lane.db) == [record]


async def test_the_wal_stays_bounded(lane: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    lane.meter = Meter(lane.journal)
    flush = lane.flush()
    monkeypatch.setattr(flush_module, "BATCH_RECORDS", 5000)
    wal = lane.db.directory / f"{FILE_NAME}-wal"
    sizes = []
    for _ in range(12):
        lane.add(*(call_record() for _ in range(5000)))
        assert await flush.flush()
        sizes.append(wal.stat().st_size)
    assert max(sizes) <= 8 * 1024 * 1024 and 0 in sizes


async def test_a_wal_that_cannot_be_emptied_is_told_and_loses_nothing(
    lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails() -> None:
        raise StoreError("store_busy")

    flush = lane.flush()
    monkeypatch.setattr(lane.db, "checkpoint_if_large", fails)
    records = lane.add(call_record(), call_record())
    assert await flush.flush() and flush.healthy
    assert await stored(lane.db) == records and await position(lane.db) == 2
    [told] = lane.events()
    assert (told["event"], told["level"], told["code"]) == (
        "checkpoint_failed", "warning", "store_busy")


async def test_a_store_that_failed_is_asked_again_without_records(
    lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As soon as its pause is over, and not once a probe is due."""
    monkeypatch.setattr(flush_module, "PROBE_SECONDS", 3600.0)
    flush = lane.flush(flush_seconds=0.01)
    assert await flush.flush()
    with held(lane.db):
        assert not await flush.flush() and not flush.healthy
    running = asyncio.create_task(flush.run())
    async with asyncio.timeout(5):
        while not flush.healthy:
            await asyncio.sleep(0.01)
    await flush.stop()
    await running


async def test_a_store_that_cannot_be_written_is_noticed_without_records(lane: Lane) -> None:
    flush = lane.flush(flush_seconds=0.01)
    assert await flush.flush() and flush.healthy
    with held(lane.db):
        assert not await flush.flush() and not flush.healthy
    assert await flush.flush() and flush.healthy
    with held(lane.db):
        await flush.stop()
    assert flush.refused == 0


async def test_without_records_the_store_is_asked_now_and_then(
    lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flush_module, "PROBE_SECONDS", 0.3)
    flush = lane.flush(flush_seconds=0.01)
    probes = 0
    ask = flush._probe

    async def probe() -> None:
        nonlocal probes
        probes += 1
        await ask()

    monkeypatch.setattr(flush, "_probe", probe)
    running = asyncio.create_task(flush.run())
    await asyncio.sleep(0.8)
    assert 1 <= probes <= 4 and flush.healthy and flush.oldest_seconds() == 0.0
    lane.add(call_record())
    assert flush.oldest_seconds() < 0.1
    async with asyncio.timeout(5):
        while flush.posted != 1:
            await asyncio.sleep(0.01)
    with held(lane.db):
        async with asyncio.timeout(5):
            while flush.healthy:
                await asyncio.sleep(0.01)
    async with asyncio.timeout(5):
        while not flush.healthy:
            await asyncio.sleep(0.01)
    await flush.stop()
    await running


@pytest.mark.parametrize("records", [0, 1])
async def test_how_long_the_store_has_been_at_one_thing(lane: Lane, records: int) -> None:
    flush = lane.flush()
    lane.add(*(call_record() for _ in range(records)))
    with held(lane.db):
        began = monotonic()
        flushing = asyncio.ensure_future(flush.flush())
        await asyncio.sleep(0.1)
        assert 0.09 <= flush.waited_seconds() <= monotonic() - began
    assert await flushing
    assert flush.waited_seconds() == 0.0
