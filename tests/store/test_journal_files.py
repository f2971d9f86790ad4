"""The files of a lane: they follow each other, and what a disk fails to take is written again."""

from __future__ import annotations

import asyncio
import errno
import io
import json
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from relayd.ops.logging import Logger
from relayd.store import journal_files, journal_segment
from relayd.store.journal_files import Files
from relayd.store.journal_frame import CLOSE, OPEN, Entry, Reader, frame
from tests.store.test_journal_segment import no_file_above

Make = Callable[..., Files]


class Wakes:
    """Counts how often it was called."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


@pytest.fixture
async def files(tmp_path: Path, way: str) -> AsyncIterator[Files]:
    """Files that end at 1,000 bytes."""
    made = Files(tmp_path, number=0, segment_bytes=1000, bytes_max=1 << 30, wake=Wakes(),
                 log=Logger("error"))
    await made.start()
    yield made
    made.end(remove=True)
    assert journal_segment.paths(tmp_path) == []


def lines(directory: Path) -> list[list[int]]:
    """The numbers of the lines, file by file."""
    found = []
    for path in journal_segment.paths(directory):
        reader = Reader()
        entries: list[Entry] = reader.feed(path.read_bytes()) + reader.finish()
        assert reader.torn_bytes == 0
        found.append([entry.number for entry in entries])
    return found


async def write(files: Files, count: int, size: int = 82) -> None:
    """Lines of 100 bytes, with the work that they ask for."""
    for _ in range(count):
        assert files.write(CLOSE, bytes(size))
        await files.tidy()


async def test_the_next_file_is_made_before_it_is_needed(files: Files, tmp_path: Path) -> None:
    await write(files, 25)
    assert lines(tmp_path) == [list(range(1, 11)), list(range(11, 21)), list(range(21, 26))]
    assert (files.count, files.size, files.number, files.oldest) == (3, 2500, 25, 10)
    assert [path.name for path in files.behind(10)] == ["000000000002.journal",
                                                        "000000000003.journal"]


async def test_a_file_goes_on_where_the_next_one_is_late(files: Files, tmp_path: Path) -> None:
    for _ in range(15):
        assert files.write(CLOSE, bytes(82))
    assert files.count == 1
    await files.tidy()
    await write(files, 3)
    assert [len(each) for each in lines(tmp_path)] == [16, 2]


async def test_files_that_are_ended_go_oldest_first(files: Files, tmp_path: Path) -> None:
    await write(files, 25)
    assert files.take_ended(9) == []
    ended = files.take_ended(19)
    assert [segment.last for segment in ended] == [10] and files.oldest == 20
    await files.sync()
    await files.remove(ended)
    assert files.size == 1500 and lines(tmp_path)[0][0] == 11
    # the last one is still being written
    await files.remove(files.take_ended(99))
    assert lines(tmp_path) == [list(range(21, 26))] and files.oldest == 0


async def test_a_sync_takes_what_was_written_before(files: Files) -> None:
    wakes: Wakes = files._wake  # type: ignore[assignment]
    assert not files.dirty
    await write(files, 2)
    assert files.dirty and wakes.count == 1
    await files.sync()
    assert not files.dirty and not files.sync_fails
    await write(files, 1)
    assert files.dirty and wakes.count == 2


async def test_an_old_file_is_ended(files: Files, tmp_path: Path) -> None:
    files.end_when_older(-1.0)
    await files.tidy()
    assert files.count == 1  # nothing is in it
    await write(files, 1)
    files.end_when_older(60.0)
    await files.tidy()
    assert files.count == 1
    files.end_when_older(-1.0)
    await files.tidy()
    await write(files, 1)
    assert lines(tmp_path) == [[1], [2]]


class Disk:
    """fdatasync that fails as often as it is told to, and says for which files it was called."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, failures: int) -> None:
        self.failures = failures
        self.handles: list[int] = []
        self._real = os.fdatasync
        monkeypatch.setattr(journal_files.os, "fdatasync", self._sync)

    def _sync(self, handle: int) -> None:
        self.handles.append(handle)
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EIO, "")
        self._real(handle)


async def test_what_failed_to_sync_is_written_to_another_file(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(files, 2)
    await files.sync()
    await write(files, 2)
    disk = Disk(monkeypatch, failures=1)
    await files.sync()
    assert files.sync_fails and files.sync_failures == 1
    await write(files, 1)
    assert lines(tmp_path) == [[1, 2, 3, 4], [3, 4, 5]]
    await files.sync()
    assert not files.sync_fails and len(set(disk.handles)) == 2
    assert files.oldest == 4


async def test_lines_that_come_while_it_fails_are_written_again_too(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(files, 1)
    Disk(monkeypatch, failures=1)
    syncing = asyncio.gather(files.sync())
    await asyncio.sleep(0)
    assert files.write(CLOSE, bytes(82))
    await syncing
    assert lines(tmp_path) == [[1, 2], [1, 2]]
    await files.sync()
    assert not files.sync_fails


async def test_no_file_is_synced_again_after_it_failed(
    files: Files, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    disk = Disk(monkeypatch, failures=2)
    real = journal_segment.create
    monkeypatch.setattr(journal_segment, "create", _fails)
    await write(files, 1)
    for _ in range(2):
        await files.sync()
        assert files.sync_fails
        assert files.write(CLOSE, bytes(82))  # the process may still die before the machine does
    assert len(disk.handles) == 1
    monkeypatch.setattr(journal_segment, "create", real)
    await files.sync()  # in a file of its own now, which the next sync is for
    await files.sync()
    await files.sync()
    assert not files.sync_fails and files.sync_failures == 2
    assert len(set(disk.handles)) == len(disk.handles) == 3
    assert lines(tmp_path) == [[1, 2, 3], [1, 2, 3], [1, 2, 3]]


def _fails(directory: Path, index: int, reserve: int) -> None:
    raise OSError(errno.ENOSPC, "")


async def test_a_line_is_the_same_whichever_way_it_is_written(
    files: Files, tmp_path: Path
) -> None:
    assert files.write(OPEN, b"one") and files.write(CLOSE, b"two")
    expected = frame(1, OPEN, b"one") + frame(2, CLOSE, b"two")
    assert files._segment.path.read_bytes().rstrip(b"\0") == expected


async def test_lines_are_the_same_together_or_one_by_one(files: Files, tmp_path: Path) -> None:
    values = [b"one", b"", bytes(82)]
    assert files.write(OPEN, b"zero") and files.write_all(CLOSE, values)
    await files.sync()
    assert not files.dirty
    assert files.write_all(CLOSE, [b"four"]) and files.dirty and files.number == 5
    expected = [frame(number, CLOSE, value) for number, value in enumerate(values, 2)]
    there = files._segment.path.read_bytes()[:files._segment.bytes]
    assert there == b"".join([frame(1, OPEN, b"zero"), *expected, frame(5, CLOSE, b"four")])
    assert files._segment.unsynced == [frame(5, CLOSE, b"four")]


async def test_what_does_not_go_in_one_is_not_begun(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(files, 2)
    assert not files.write_all(CLOSE, [bytes(82)] * 9) and files.number == 2
    with no_file_above(250):
        went = files.write_all(CLOSE, [bytes(82)] * 2)  # into room that was taken before, or not
    assert went == files._segment.mapped and files.number == 2 + 2 * went
    assert files.write(CLOSE, bytes(82))
    assert lines(tmp_path) == [list(range(1, files.number + 1))]


async def test_a_mapped_file_takes_all_that_its_room_was_reserved_for(
    files: Files, tmp_path: Path, way: str
) -> None:
    await write(files, 6)
    with no_file_above(650):
        taken = 0
        while files.write(CLOSE, bytes(82)):
            taken += 1
    # ten in a mapped file; the second one has room, but nothing of it was taken before the limit
    assert taken == (4 + 10 if way == "mapped" else 6)


async def test_a_line_that_fits_behind_one_that_did_not(files: Files, tmp_path: Path) -> None:
    for _ in range(9):
        assert files.write(CLOSE, bytes(82))  # the next file is late
    with no_file_above(900):
        assert not files.write(CLOSE, bytes(400))
        assert not files.write(CLOSE, bytes(5))
    assert files.write(CLOSE, bytes(5))
    assert lines(tmp_path) == [list(range(1, 11))]


async def test_a_file_that_failed_to_sync_is_not_copied_to_any_more(
    files: Files, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file system that gives up may take the page's place away: write() only fails then."""
    await write(files, 1)
    Disk(monkeypatch, failures=1)
    monkeypatch.setattr(journal_segment, "create", _fails)
    await files.sync()
    assert not files._segment.mapped and files.write(CLOSE, bytes(82))
    with no_file_above(200):
        assert not files.write(CLOSE, bytes(82))


async def test_a_full_disk_leaves_the_room_that_was_reserved(
    tmp_path: Path, written: None
) -> None:
    files = Files(tmp_path, number=0, segment_bytes=1000, bytes_max=1 << 30, wake=Wakes(),
                  log=Logger("error"))
    await files.start()
    await write(files, 6)
    with no_file_above(650):
        assert files.write(CLOSE, bytes(82))  # in the next file
        for _ in range(5):
            assert files.write(CLOSE, bytes(82))
        assert not files.write(CLOSE, bytes(82)) and files.error == 0
        assert files.number == 12
        assert await files.usable()  # the file itself is well
    assert files.write(CLOSE, bytes(82))
    assert lines(tmp_path) == [[1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12, 13]]
    files.end(remove=True)


async def test_a_broken_file_is_replaced(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(files, 1)
    files._segment.broken = True
    files._segment.close()
    files._plan()
    assert not files.write(CLOSE, bytes(82))
    real = journal_segment.create
    monkeypatch.setattr(journal_segment, "create", _fails)
    assert not await files.usable()
    monkeypatch.setattr(journal_segment, "create", real)
    assert await files.usable() and files.write(CLOSE, bytes(82))
    assert lines(tmp_path) == [[1], [2]]


async def test_failures_are_logged_with_their_number_and_their_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = io.StringIO()
    files = Files(tmp_path, number=0, segment_bytes=1000, bytes_max=1 << 30, wake=Wakes(),
                  log=Logger("debug", log))
    await files.start()
    disk = Disk(monkeypatch, failures=1)
    real = journal_segment.create
    monkeypatch.setattr(journal_segment, "create", _fails)
    await write(files, 1)
    await files.sync()
    assert '"journal_syncs_again"' not in log.getvalue()
    monkeypatch.setattr(journal_segment, "create", real)
    for _ in range(4):
        await files.sync()
    files.end(remove=False)
    assert disk.failures == 0 and not files.sync_fails
    told = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [(line["event"], line.get("errno")) for line in told] == [
        ("journal_sync_failed", errno.EIO), ("journal_file_failed", errno.ENOSPC),
        ("journal_syncs_again", None)]


async def test_how_long_the_thread_has_been_at_one_thing(files: Files) -> None:
    may_end = threading.Event()
    assert files.waited_seconds() == 0.0
    first = asyncio.ensure_future(files.in_thread(may_end.wait, 5.0))
    second = asyncio.ensure_future(files.in_thread(time.sleep, 0.05))
    await asyncio.sleep(0.1)
    assert 0.1 <= files.waited_seconds() < 1.0
    may_end.set()
    assert await first
    assert files.waited_seconds() < 0.05  # another thing now
    await second
    assert files.waited_seconds() == 0.0
