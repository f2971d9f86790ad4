"""What a dead daemon's journal has comes to the store once, however often it is replayed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relayd.control import key, ledger, usage
from relayd.control.recovery import Recovered, recover
from relayd.core.price import Price, PriceBook, unit_prices
from relayd.core.record import CallRecord
from relayd.store import applied, journal_segment
from relayd.store.applied import Applied
from relayd.store.db import Database, open_database
from relayd.store.journal_frame import CLOSE, OPEN, PROGRESS, frame
from relayd.store.journal_lane import claim
from relayd.store.record import CallFilter
from tests.fakes.first_store import ANN, ANN_KEY, BEN, BEN_KEY, ERASED, write_first_store
from tests.fakes.records import call_record
from tests.store.test_journal_replay import mark_of, opening_of

encode = msgspec.msgpack.encode
Lines = list[bytes]


def lines(records: list[CallRecord], left: list[CallRecord]) -> Lines:
    """A journal in which the first calls were closed and the others were left."""
    found: Lines = []

    def add(kind: int, value: object) -> None:
        found.append(frame(len(found) + 1, kind, encode(value)))

    for record in (*records, *left):
        add(OPEN, opening_of(record))
    for record in left:
        add(PROGRESS, mark_of(record, 3))
    for record in records:
        add(CLOSE, record)
    return found


def write(directory: Path, *files: bytes) -> None:
    for index, data in enumerate(files):
        (directory / f"{index + 1:012d}.journal").write_bytes(data)


async def replayed(db: Database, *files: bytes) -> Recovered:
    """What recovery makes of a lane with these files."""
    (lane, *others) = claim(db.directory)
    try:
        write(lane.directory, *files)
        found, _ = await recover(db, [lane, *others])
        assert journal_segment.paths(lane.directory) == []
    finally:
        for each in (lane, *others):
            each.release()
    return found


async def stored(db: Database) -> list[CallRecord]:
    assert await ledger.verify(db) == []
    return [record async for record in usage.calls(db, CallFilter())]


async def test_closed_calls_are_posted_and_open_ones_were_interrupted(db: Database) -> None:
    records, left = [call_record() for _ in range(3)], [call_record()]
    data = lines(records, left)
    found = await replayed(db, b"".join(data[:4]), b"".join(data[4:]))
    assert found == Recovered(files=2, replayed=3, interrupted=1)
    *closed, open_ = await stored(db)
    assert closed == records
    assert (open_.id, open_.outcome, open_.error, open_.output_tokens, open_.status) == (
        left[0].id, "interrupted", "daemon_died", 3, 200)
    async with db.reading() as transaction:
        assert await applied.position(transaction, 0) == len(data)


async def test_nothing_is_nothing(db: Database) -> None:
    assert await replayed(db) == Recovered()


async def test_what_the_store_has_stays_as_it_is(db: Database) -> None:
    records = [call_record() for _ in range(3)]
    book = PriceBook([Price("*", unit_prices({"call": 5}))])
    await usage.post(db, records[:2], book)
    found = await replayed(db, b"".join(lines(records, [])))
    assert found.replayed == 1
    assert [record.amount_nano for record in await stored(db)] == [5, 5, 0]


async def test_what_is_applied_is_not_posted_again(db: Database) -> None:
    records = [call_record() for _ in range(2)]
    await usage.post(db, [], applied=Applied(0, 3))
    found = await replayed(db, b"".join(lines(records, [])))  # opened by 1, 2; closed by 3, 4
    assert found.replayed == 1 and await stored(db) == records[1:]


async def test_numbers_go_on_behind_what_was_ever_applied(db: Database) -> None:
    await usage.post(db, [], applied=Applied(0, 70))
    for files, last in (((), 70), ((frame(90, CLOSE, encode(call_record())),), 90), ((), 90)):
        (lane,) = claim(db.directory)
        write(lane.directory, *files)
        _, numbers = await recover(db, [lane])
        lane.release()
        assert numbers == {0: last}


async def test_a_torn_tail_and_a_refused_record_are_counted(db: Database) -> None:
    good, bad = call_record(), call_record(attempts=-1)
    data = b"".join(lines([bad, good], []))
    found = await replayed(db, data + data[:40])
    assert (found.replayed, found.torn_bytes, found.refused) == (1, 40, (bad.id,))
    assert await stored(db) == [good]


async def test_a_call_that_was_open_and_is_refused_is_told(db: Database) -> None:
    good, bad = call_record(), call_record(started_at_ms=-1)
    found = await replayed(db, b"".join(lines([], [bad, good])))
    assert (found.interrupted, found.refused) == (1, (bad.id,))


async def test_lanes_whose_owner_is_gone_are_replayed_too(db: Database) -> None:
    first, second = call_record(), call_record()
    (one,), (two,) = claim(db.directory), claim(db.directory)
    write(one.directory, b"".join(lines([first], [])))
    write(two.directory, b"".join(lines([second], [])))
    two.release()
    assert (await replayed(db)).files == 1
    assert await stored(db) == [second]
    one.release()
    await replayed(db)
    assert await stored(db) == [first, second]


async def _final(db: Database, *journals: Lines) -> list[CallRecord]:
    for journal in journals:
        await replayed(db, b"".join(journal))
    return await stored(db)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_any_part_of_a_journal_again_changes_nothing(data: st.DataObject) -> None:
    records = [call_record() for _ in range(data.draw(st.integers(0, 6)))]
    left = [call_record() for _ in range(data.draw(st.integers(0, 3)))]
    journal = lines(records, left)
    start = data.draw(st.integers(0, len(journal)))
    stop = data.draw(st.integers(start, len(journal)))
    part = {"prefix": journal[:stop], "suffix": journal[start:], "part": journal[start:stop],
            "twice": journal + journal}[data.draw(st.sampled_from(
                ["prefix", "suffix", "part", "twice"]))]
    forget = data.draw(st.booleans())

    async def go() -> None:
        with tempfile.TemporaryDirectory() as folder:
            db = await open_database(Path(folder) / "store")
            try:
                once = await _final(db, journal)
                if forget:  # as if the store did not know how far it was
                    async with db.writing() as transaction:
                        await transaction.run("DELETE FROM journal_lanes")
                assert await _final(db, part) == once
                assert await _final(db, journal) == once
            finally:
                await db.close()
        assert len(once) == len(records) + len(left)

    asyncio.run(go())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 6), st.data())
def test_a_call_that_is_split_between_two_lives_is_recorded_once(
    count: int, data: st.DataObject
) -> None:
    """A prefix is replayed, as after a first crash; then the whole, as a late disk gave it."""
    records = [call_record() for _ in range(count)]
    journal = lines(records, [])
    cut = data.draw(st.integers(0, len(journal)))

    async def go() -> None:
        with tempfile.TemporaryDirectory() as folder:
            db = await open_database(Path(folder) / "store")
            try:
                await _final(db, journal[:cut])
                found = await _final(db, journal)
            finally:
                await db.close()
        assert [record.id for record in found] == [record.id for record in records]

    asyncio.run(go())


CRASH = """
import asyncio, os, sys
from pathlib import Path
from relayd.control.recovery import recover
from relayd.store.db import open_database
from relayd.store.journal_lane import claim

async def go():
    db = await open_database(Path(sys.argv[1]))
    lanes = claim(db.directory)
    asyncio.get_running_loop().call_later(float(sys.argv[2]), os.kill, os.getpid(), 9)
    await recover(db, lanes)
    await asyncio.sleep(9)

asyncio.run(go())
"""


@pytest.mark.parametrize("seconds", [0.0, 0.002, 0.005, 0.01, 0.02, 0.04])
async def test_a_crash_in_the_middle_is_harmless(tmp_path: Path, seconds: float) -> None:
    store = tmp_path / "store"
    db = await open_database(store)
    records, left = [call_record() for _ in range(3000)], [call_record() for _ in range(9)]
    (lane,) = claim(store)
    write(lane.directory, b"".join(lines(records, left)))
    lane.release()
    await db.close()
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", CRASH, str(store), str(seconds)],
                              check=False, capture_output=True)
        assert done.returncode == -9, done.stderr
    db = await open_database(store)
    await replayed(db)
    found = await stored(db)
    await db.close()
    assert found[:3000] == records
    assert [record.id for record in found[3000:]] == [record.id for record in left]


async def test_what_the_first_version_s_journal_has_is_recorded_once(tmp_path: Path) -> None:
    write_first_store(tmp_path / "store")
    db = await open_database(tmp_path / "store")
    lanes = claim(db.directory)
    found, _ = await recover(db, lanes)
    assert (found.replayed, found.interrupted, found.torn_bytes, found.refused) == (1, 1, 0, ())
    told = [(each.account, each.outcome, each.input_tokens, each.output_tokens)
            async for each in usage.calls(db, CallFilter())]
    assert sorted(told) == [
        (ANN, "completed", 100, 20), (ANN, "interrupted", 41, 9),
        (BEN, "completed", 100, 20), (BEN, "completed", 100, 20),
        (ERASED, "completed", 100, 20)]
    assert await ledger.verify(db) == []
    async with db.reading() as transaction:
        found_by = [await key.find(db, transaction, text) for text in (ANN_KEY, BEN_KEY)]
    assert [(each.account, each.name) for each in found_by] == [(ANN, "laptop"), (BEN, "server")]
    for lane in lanes:
        lane.release()
    await db.close()
