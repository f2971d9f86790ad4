"""The journal as the relay and the flush job see it."""

from __future__ import annotations

import asyncio
import errno
import io
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from relayd.core.errors import RelayError
from relayd.core.record import CallRecord
from relayd.ops.logging import Logger
from relayd.store import journal as journal_module
from relayd.store import journal_segment
from relayd.store.journal import JournalWriter
from relayd.store.journal_replay import Replay
from tests.fakes.records import call_record
from tests.store.test_journal_files import Disk
from tests.store.test_journal_replay import mark_of, opening_of
from tests.store.test_journal_segment import fill, no_file_above, small_disk

pytestmark = pytest.mark.usefixtures("way")


@asynccontextmanager
async def journal(directory: Path, **wishes: Any) -> AsyncIterator[JournalWriter]:
    """A journal without its task: tests call `work`."""
    made = JournalWriter(directory, log=Logger("error", io.StringIO()), **wishes)
    await made.start()
    try:
        yield made
    finally:
        await made.stop(stored=False)


def told(directory: Path, after: int = 0) -> tuple[list[CallRecord], list[CallRecord]]:
    """The closed and the open calls that the files tell of."""
    replay = Replay(journal_segment.paths(directory), after)
    closed = [record for batch in replay.batches() for record in batch.records]
    assert replay.torn_bytes == 0
    return closed, replay.interrupted()


def folder(parent: Path, name: str) -> Path:
    (parent / name).mkdir()
    return parent / name


def refused(made: JournalWriter) -> bool:
    record = call_record()
    try:
        made.open(opening_of(record))
    except RelayError as error:
        assert error.code == "journal_full" and error.retry_after_seconds
        return True
    made.close(record)
    return False


async def test_what_is_written_is_there_at_once(tmp_path: Path) -> None:
    done, open_ = call_record(), call_record()
    async with journal(tmp_path) as made:
        made.open(opening_of(done))
        made.open(opening_of(open_))
        made.mark(mark_of(open_, 3))
        made.mark(mark_of(call_record(), 3))  # of a call that is not open
        made.close(done)
        closed, left = told(tmp_path)
        assert made.number == 4 and made.bytes > 0 and made.segments == 1 and made.healthy
    assert closed == [done]
    assert [(r.id, r.counted_output_tokens) for r in left] == [(open_.id, 3)]


async def test_what_ends_together_is_closed_together(tmp_path: Path) -> None:
    several = [call_record() for _ in range(30)]
    async with journal(tmp_path, segment_bytes=4000) as made:  # they have no room in one file
        for record in several:
            made.open(opening_of(record))
            made.mark(mark_of(record, 3))
        for at in range(0, 30, 10):
            made.close_all(several[at:at + 10])
            await made.work()
        assert told(tmp_path) == (several, [])
        assert not made._live and not made._marks


async def test_what_ends_together_on_a_full_disk_waits(tmp_path: Path) -> None:
    several = [call_record() for _ in range(3)]
    async with journal(tmp_path, segment_bytes=100_000) as made:
        for record in several:
            made.open(opening_of(record))
        await made.work()
        with no_file_above(made.bytes):
            while not refused(made):
                pass
            made.close_all(several)
            assert made.pending[-3:] == several
        await made.work()
        assert made.pending == [] and told(tmp_path)[0][-3:] == several


@pytest.mark.parametrize("bad", [{"model": "\ud800"}, {"counted_input_tokens": 1 << 70}])
async def test_what_no_line_can_hold_costs_the_others_nothing(
    tmp_path: Path, bad: dict[str, Any]
) -> None:
    several = [call_record() for _ in range(3)]
    async with journal(tmp_path) as made:
        for record in several:
            made.open(opening_of(record))
        wrong = msgspec.structs.replace(several[1], **bad)
        made.close_all([several[0], wrong, several[2]])
        closed, left = told(tmp_path)
        assert closed == [several[0], several[2]]
        assert [record.id for record in left] == [wrong.id]


async def test_a_file_that_cannot_be_removed_is_removed_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with journal(tmp_path, segment_bytes=4000) as made:
        for _ in range(60):
            made.close(call_record())
            await made.work()
        several, size = made.segments, made.bytes
        assert several > 2

        def fails(path: Path, missing_ok: bool = False) -> None:
            raise OSError(errno.EROFS, "")

        with monkeypatch.context() as patched:
            patched.setattr(Path, "unlink", fails)
            made.applied(made.number)
            await made.work()
            assert made.bytes == size and len(journal_segment.paths(tmp_path)) >= several
        await made.work()
        assert made.bytes < size and len(journal_segment.paths(tmp_path)) <= 2


async def test_numbers_go_on_from_an_earlier_life(tmp_path: Path) -> None:
    async with journal(tmp_path) as made:
        made.close(call_record())
    async with journal(tmp_path, number=1) as made:
        made.close(call_record())
        assert made.number == 2
    assert len(journal_segment.paths(tmp_path)) == 2 and len(told(tmp_path)[0]) == 2
    assert len(told(tmp_path, after=1)[0]) == 1


async def test_files_go_when_they_are_applied_and_what_is_open_is_carried_over(
    tmp_path: Path,
) -> None:
    long = call_record()
    async with journal(tmp_path, segment_bytes=4000) as made:
        made.open(opening_of(long))
        made.mark(mark_of(long, 7))
        for _ in range(60):
            record = call_record()
            made.open(opening_of(record))
            made.close(record)
            await made.work()
        assert made.segments > 3
        made.applied(made.number)
        await made.work()
        assert made.segments == 1 and made.bytes < 8000
        assert [r.counted_output_tokens for r in told(tmp_path)[1]] == [7]
        made.close(long)
        assert told(tmp_path)[1] == []


async def test_a_file_stays_until_what_was_carried_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = call_record()
    async with journal(tmp_path, segment_bytes=4000) as made:
        made.open(opening_of(long))
        for _ in range(60):
            made.close(call_record())
            await made.work()
        before = made.segments
        assert before > 2
        Disk(monkeypatch, failures=1)
        made.applied(made.number)
        await made.work()
        assert journal_segment.paths(tmp_path)[0].name == "000000000001.journal"
        assert not made.healthy
        await made.work()
        await made.work()
        assert made.healthy and made.sync_failures == 1
        assert len(journal_segment.paths(tmp_path)) < before
        assert [record.id for record in told(tmp_path)[1]] == [long.id]


async def test_a_full_disk_refuses_calls_and_loses_none(tmp_path: Path) -> None:
    running = [call_record() for _ in range(20)]
    async with journal(tmp_path, segment_bytes=100_000) as made:
        for record in running:
            made.open(opening_of(record))
        await made.work()
        with no_file_above(made.bytes + 700):
            while not refused(made):
                pass
            for record in running:
                made.close(record)
            assert len(made.pending) >= len(running) - 3 and not made.healthy
            made.mark(mark_of(running[-1], 1))
            await made.work()
            assert refused(made)
        assert refused(made)  # until the next try
        await made.work()
        assert made.pending == [] and made.healthy and not refused(made)
        closed, left = told(tmp_path)
    assert {record.id for record in running} <= {record.id for record in closed}
    assert left == []


async def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 256) as disk:
        async with journal(folder(disk, "lane")) as made:
            opened = []
            while True:
                record = call_record()
                try:
                    made.open(opening_of(record))
                except RelayError:
                    break
                opened.append(record)
            assert len(opened) > 500
            for record in opened:
                made.close(record)
            await made.work()
            assert len(made.pending) > 400 and refused(made)
            subprocess.run(["mount", "-o", "remount,size=2m", str(disk)], check=True)
            await made.work()
            assert made.healthy and not refused(made)
            closed, left = told(disk / "lane")
        assert {r.id for r in opened} <= {r.id for r in closed} and left == []


async def test_a_disk_that_others_fill_ends_with_the_room_that_was_reserved(
    tmp_path: Path, way: str
) -> None:
    with small_disk(tmp_path / "disk", 1024) as disk:
        async with journal(folder(disk, "lane"), segment_bytes=100_000) as made:
            ballast = fill(disk)
            opened = []
            while made.bytes < 50_000 or not refused(made):
                record = call_record()
                try:
                    made.open(opening_of(record))
                except RelayError:
                    break
                opened.append(record)
                await made.work()
            assert len(opened) > 500 and not made.healthy
            for record in opened:
                made.close(record)
            assert len(made.pending) > 400
            ballast.unlink()
            await made.work()
            assert made.healthy and made.pending == [] and not refused(made)
            closed, left = told(disk / "lane")
        assert {r.id for r in opened} <= {r.id for r in closed} and left == []


async def test_the_limit_refuses_calls_until_the_store_has_taken_some(tmp_path: Path) -> None:
    async with journal(tmp_path, bytes_max=20_000) as made:
        first = call_record()
        made.open(opening_of(first))
        while not refused(made):
            await made.work()
        assert made.bytes >= 20_000 and not made.healthy
        made.close(first)  # what is under way may end
        assert made.pending == []
        made.applied(made.number)
        await made.work()
        assert made.healthy and not refused(made)


async def test_reading_again_what_memory_had_no_room_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relayd.store.journal_replay.BATCH_RECORDS", 10)
    async with journal(tmp_path, segment_bytes=4000) as made:
        records = [call_record() for _ in range(35)]
        for place, record in enumerate(records):
            made.open(opening_of(record))
            made.close(record)
            await made.work()
            if place == 4:
                after = made.number
        until = made.number
        made.close(call_record())
        found: list[CallRecord] = []
        sizes = []
        while after < until:
            batch = await made.read(after, until)
            found += batch.records
            sizes.append(len(batch.records))
            assert after < batch.through <= until
            after = batch.through
        # a line behind `until` may come along where it is in the same batch
        assert found[:30] == records[5:] and len(found) <= 31 and sizes[:3] == [10, 10, 10]


async def test_reading_begins_anew_where_it_is_asked_to(tmp_path: Path) -> None:
    async with journal(tmp_path) as made:
        records = [call_record() for _ in range(3)]
        for record in records:
            made.close(record)
        for _ in range(2):
            batch = await made.read(1, 3)
            assert batch.records == records[1:] and batch.through == 3


async def test_waiting_for_the_disk(tmp_path: Path) -> None:
    called: list[int] = []
    async with journal(folder(tmp_path, "a")) as made:
        made.close(call_record())
        assert made.when_synced(lambda: called.append(0))  # nobody waits where it is not asked for
    async with journal(folder(tmp_path, "b"), sync_ms=0) as made:
        assert made.when_synced(lambda: called.append(1))
        running = asyncio.gather(made.run())
        made.close(call_record())
        assert not made.when_synced(lambda: called.append(2))
        assert not made.when_synced(lambda: called.append(3))
        async with asyncio.timeout(5):
            while called != [2, 3]:
                await asyncio.sleep(0.001)
        assert made.when_synced(lambda: called.append(4))
        await made.stop(stored=True)
        await running
    assert called == [2, 3]


async def test_nobody_waits_for_a_disk_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[int] = []
    async with journal(tmp_path, sync_ms=0) as made:
        Disk(monkeypatch, failures=1)
        made.close(call_record())
        assert not made.when_synced(lambda: called.append(1))
        await made.work()
        assert called == [1] and not made.healthy


async def test_its_task_syncs_and_recovers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: None
) -> None:
    monkeypatch.setattr(journal_module, "RETRY_SECONDS", 0.01)
    async with journal(tmp_path, sync_ms=1) as made:
        disk = Disk(monkeypatch, failures=1)
        running = asyncio.gather(made.run())
        made.close(call_record())
        async with asyncio.timeout(5):
            while not (len(disk.handles) == 2 and made.healthy):
                await asyncio.sleep(0.001)
        assert made.sync_failures == 1
        with no_file_above(10):
            assert refused(made)
        async with asyncio.timeout(5):
            while not made.healthy:
                await asyncio.sleep(0.001)
        await made.stop(stored=True)
        await running


async def test_at_the_end_files_stay_for_what_is_not_stored(tmp_path: Path) -> None:
    for stored, open_, left in ((True, False, 0), (False, False, 1), (True, True, 1)):
        directory = folder(tmp_path, f"{stored}{open_}")
        made = JournalWriter(directory)
        await made.start()
        record = call_record()
        made.open(opening_of(record))
        if not open_:
            made.close(record)
        assert await made.stop(stored=stored)
        assert len(journal_segment.paths(directory)) == left


async def test_at_the_end_it_says_what_no_file_has(tmp_path: Path, written: None) -> None:
    for stored in (True, False):
        directory = folder(tmp_path, str(stored))
        made = JournalWriter(directory, log=Logger("error", io.StringIO()))
        await made.start()
        with no_file_above(10):
            made.close(call_record())
            assert len(made.pending) == 1
            assert await made.stop(stored=stored) is stored


@pytest.mark.parametrize(("failures", "stored", "sure"), [
    (1, False, True), (9, False, False), (9, True, True)])
async def test_at_the_end_it_says_whether_the_disk_has_what_a_file_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failures: int, stored: bool, sure: bool
) -> None:
    made = JournalWriter(tmp_path, log=Logger("error", io.StringIO()))
    await made.start()
    made.close(record := call_record())
    Disk(monkeypatch, failures)
    assert await made.stop(stored=stored) is sure
    if not stored:
        assert record in told(tmp_path)[0]


@pytest.mark.parametrize("back", [True, False], ids=["back", "gone"])
async def test_calls_are_not_written_where_the_next_start_does_not_look(
    tmp_path: Path, back: bool
) -> None:
    lane, away = folder(tmp_path, "lane"), tmp_path / "away"
    made = JournalWriter(lane, segment_bytes=4000, log=Logger("error", io.StringIO()))
    await made.start()
    made.open(opening_of(record := call_record()))
    lane.rename(away)
    made.look()
    await made.work()
    assert refused(made) and not made.healthy
    made.close(record)
    assert made.pending == [record]
    if back:
        away.rename(lane)
        await made.work()
        assert made.healthy and not refused(made)
        assert record in told(lane)[0]
    else:
        folder(tmp_path, "lane")  # as where something is mounted: nothing is made in it
        await made.work()
        assert journal_segment.paths(lane) == []
    assert await made.stop(stored=False) is back


async def test_a_file_that_took_the_place_of_one_s_own_is_left_alone(tmp_path: Path) -> None:
    lane = folder(tmp_path, "lane")
    made = JournalWriter(lane)
    await made.start()
    lane.rename(tmp_path / "away")
    (path,) = journal_segment.paths(tmp_path / "away")
    folder(tmp_path, "lane")
    (lane / path.name).write_bytes(b"another daemon's")
    assert await made.stop(stored=True)
    assert (lane / path.name).read_bytes() == b"another daemon's"


async def test_one_that_never_started_can_be_stopped(tmp_path: Path) -> None:
    assert await JournalWriter(tmp_path).stop(stored=True)


async def test_what_is_logged(tmp_path: Path, written: None) -> None:
    log = io.StringIO()
    made = JournalWriter(tmp_path, log=Logger("debug", log))
    await made.start()
    with no_file_above(10):
        made.close(call_record())
    await made.work()
    await made.stop(stored=True)
    assert '"journal_stuck"' in log.getvalue() and '"journal_writes_again"' in log.getvalue()
    assert "bad_fields" not in log.getvalue()


async def test_a_disk_that_is_full_for_long_is_no_line_a_second(
    tmp_path: Path, written: None
) -> None:
    log = io.StringIO()
    made = JournalWriter(tmp_path, log=Logger("debug", log))
    await made.start()
    with no_file_above(10):
        made.close(call_record())
        for _ in range(50):
            await made.work()
            assert refused(made)
        [line] = log.getvalue().splitlines()
        number = errno.ENOSPC  # the first write was cut short
        assert f'"journal_stuck","errno":{number},"in_flight":0,"count":1}}' in line
    await made.work()
    assert log.getvalue().count("journal_") == 2 and '"records":1}' in log.getvalue()
    with no_file_above(made.bytes):
        while not refused(made):  # the disk is full again within the minute
            pass
    await made.work()
    assert log.getvalue().count("journal_") == 2
    await made.stop(stored=True)


async def test_a_full_journal_is_told_and_that_it_has_room(tmp_path: Path) -> None:
    log = io.StringIO()
    made = JournalWriter(tmp_path, bytes_max=20_000, log=Logger("debug", log))
    await made.start()
    while not refused(made):
        await made.work()
    for _ in range(50):
        assert refused(made)
        await made.work()
    [line] = log.getvalue().splitlines()
    assert '"journal_full"' in line and '"bytes":2' in line
    made.applied(made.number)
    await made.work()
    assert '"journal_has_room"' in log.getvalue() and not refused(made)
    await made.stop(stored=True)
