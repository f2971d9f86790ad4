"""The files of one lane, as one thing that lines are written to.

The event loop owns all state and writes each line by one call; a thread syncs, makes and removes
files. Room is reserved, and the next file is made before it is needed.

Law: a file that failed to sync is never synced again: the kernel may have dropped what it held
(PostgreSQL's fsync of 2018), so the lines that it may have lost are written to another file. It
goes on taking lines until that one is there: what is written outlives the process all the same.
"""

from __future__ import annotations

import errno
import os
from asyncio import get_running_loop
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar, TypeVarTuple, Unpack
from zlib import crc32

from relayd.ops.clock import monotonic
from relayd.ops.logging import Logger
from relayd.ops.notice import Lasting
from relayd.store import journal_segment
from relayd.store.journal_frame import MARK, pack_head
from relayd.store.journal_segment import Segment

_FULL: Final = frozenset({0, errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What a write fails with where the file itself is well; 0: it was cut short."""

Given = TypeVarTuple("Given")
Result = TypeVar("Result")


class Files:
    """`start()`, then lines. `number` is that of the last one, `full`: they hold `bytes_max`.

    `wake` is called where there is work for `tidy` or `sync`. `sync_fails`: the disk may lack
    lines that it failed to take; `sync_failures` counts how often it failed.
    """

    def __init__(
        self, directory: Path, *, number: int, segment_bytes: int, bytes_max: int,
        wake: Callable[[], None], log: Logger,
    ) -> None:
        self.number = number
        self.full = False
        self.error = 0
        self.sync_fails = False
        self.sync_failures = 0
        self._directory = directory
        self._segment_bytes = min(segment_bytes, bytes_max // 4)
        self._bytes_max = bytes_max
        self._ended_bytes = 0
        self._wake = wake
        self._telling_file = Lasting(log, "journal_file_failed", level="warning")
        self._telling_sync = Lasting(log, "journal_sync_failed", "journal_syncs_again")
        self._index = 0
        self._all: list[Segment] = []
        self._segment: Segment = None  # type: ignore[assignment]
        self._spare: Segment | None = None
        self._began = 0.0
        self._look_bytes = 0
        self._quick_bytes = 0
        self._due_bytes = 0
        self._next_due = False
        self._turn_due = False
        self._dirty: list[Segment] = []
        self._doubtful: list[bytes] = []
        self._thread = ThreadPoolExecutor(1, "journal")
        self._asked = 0
        self._answered_at = 0.0

    @property
    def size(self) -> int:
        """What all files hold."""
        return self._ended_bytes + (self._segment.bytes if self._all else 0)

    @property
    def count(self) -> int:
        """How many files there are."""
        return len(self._all)

    @property
    def dirty(self) -> bool:
        """Whether there are lines that no sync has begun for."""
        return bool(self._dirty)

    @property
    def oldest(self) -> int:
        """The highest number in the oldest file that is ended; 0 where none is."""
        return self._all[0].last if len(self._all) > 1 else 0

    def behind(self, number: int) -> list[Path]:
        """The files that may have lines with a higher number, oldest first."""
        return [segment.path for segment in self._all
                if segment.last > number or segment is self._segment]

    def write(self, kind: int, value: bytes) -> bool:
        """Writes one line; False where it is in no file, and `error` says why, as errno does."""
        number = self.number + 1
        # `frame` and `_append`, in place: this is on the path of every call
        word = number << 2 | kind
        line = pack_head(MARK, len(value), crc32(value, word ^ word >> 32), word) + value
        segment = self._segment
        end = segment.bytes + len(line)
        if end > self._quick_bytes:
            return self._write_with_care(number, line)
        try:
            segment.copy(line)
        except OSError:
            return self._write_with_care(number, line)
        segment.bytes = end
        self.number = number
        unsynced = segment.unsynced
        if not unsynced:
            self._dirty.append(segment)
            self._wake()
        unsynced.append(line)
        return True

    def write_all(self, kind: int, values: Iterable[bytes]) -> bool:
        """Writes a line for each in one go; False where none was: `write` may do better."""
        number, segment = self.number, self._segment
        lines: list[bytes] = []
        for value in values:  # as in `write`
            number += 1
            word = number << 2 | kind
            check = crc32(value, word ^ word >> 32)
            lines.append(pack_head(MARK, len(value), check, word) + value)
        text = b"".join(lines)
        end = segment.bytes + len(text)
        if end > self._quick_bytes:
            return False
        try:
            segment.copy(text)
        except OSError:
            return False
        segment.bytes = end
        self.number = number
        if not segment.unsynced:
            self._dirty.append(segment)
            self._wake()
        segment.unsynced += lines
        return True

    def _write_with_care(self, number: int, line: bytes) -> bool:
        """Where a file is due for something, has no more room, or failed to take the line."""
        if not self._append(line) and not self._append_elsewhere(line):
            return False
        self.number = number
        if self._segment.bytes > self._look_bytes:
            self._look()
        return True

    def _append(self, line: bytes) -> bool:
        segment = self._segment
        if not segment.write(line):
            return False
        if not segment.unsynced:
            self._dirty.append(segment)
            self._wake()
        segment.unsynced.append(line)
        return True

    def _append_elsewhere(self, line: bytes) -> bool:
        """The next file has room that was reserved, where the disk has none."""
        self.error = self._segment.error
        if self._spare is None:
            return False
        self._enter(self._spare)
        return self._append(line)

    def _enter(self, segment: Segment) -> None:
        """From now on lines go to this file."""
        if self._all:
            self._segment.last = self.number
            self._ended_bytes += self._segment.bytes
        self._spare = None
        self._all.append(segment)
        self._segment = segment
        self._began = monotonic()
        self._due_bytes = self._segment_bytes // 2
        self._plan()

    def _plan(self) -> None:
        """When to look next: where the file is due for something, or the files are full.

        Until then its lines are merely copied.
        """
        room = self._bytes_max - self._ended_bytes
        self.full = self._segment.bytes >= room
        self._look_bytes = self._due_bytes if self.full else min(self._due_bytes, room - 1)
        self._quick_bytes = min(self._look_bytes, self._segment.room)

    def _look(self) -> None:
        """Half full: the next file is made. Full: it is used, or made at last."""
        size = self._segment.bytes
        if size > self._due_bytes:
            if self._spare is None:
                self._next_due = True
                self._wake()
                self._due_bytes = size + self._segment_bytes // 8
            elif size < self._segment_bytes:
                self._due_bytes = self._segment_bytes - 1
            else:
                self._enter(self._spare)
        self._plan()

    def end_when_older(self, seconds: float) -> None:
        """Asks for the next file where the present one has lines and is older than this."""
        if self._segment.bytes and monotonic() - self._began > seconds:
            self._next_due = self._turn_due = True
            self._wake()

    def take_ended(self, number: int) -> list[Segment]:
        """Takes out the oldest files that are ended and have no higher number than this."""
        count = 0
        for segment in self._all[:-1]:
            if segment.last > number:
                break
            count += 1
        ended, self._all = self._all[:count], self._all[count:]
        return ended

    async def in_thread(
        self, function: Callable[[Unpack[Given]], Result], *given: Unpack[Given]
    ) -> Result:
        """Runs what may wait for the disk."""
        if not self._asked:
            self._answered_at = monotonic()
        self._asked += 1
        try:
            return await get_running_loop().run_in_executor(self._thread, function, *given)
        finally:
            self._asked -= 1
            self._answered_at = monotonic()

    def waited_seconds(self) -> float:
        """For how long the thread has been at what it was asked for last; 0.0 where it is idle."""
        return monotonic() - self._answered_at if self._asked else 0.0

    async def start(self) -> None:
        """Makes the first file; raises OSError."""
        found = journal_segment.paths(self._directory)
        self._index = journal_segment.index_of(found[-1]) if found else 0
        self._enter(await self._create())

    async def _create(self) -> Segment:
        self._index += 1
        return await self.in_thread(
            journal_segment.create, self._directory, self._index, self._segment_bytes)

    async def tidy(self) -> None:
        """Makes the next file where one is due."""
        if not self._next_due:
            return
        self._next_due = False
        turn, self._turn_due = self._turn_due, False
        if self._spare is None and not await self._made():
            return
        if turn and self._spare is not None:
            self._enter(self._spare)

    async def _made(self) -> bool:
        """Makes the next file; False where that failed."""
        try:
            self._spare = await self._create()
        except OSError as error:
            self._telling_file.again(errno=error.errno)
            return False
        return True

    def astray(self) -> bool:
        """Whether the present file is not where the next start looks, as `error` says then."""
        if not self._segment.astray:
            return False
        self.error = errno.ENOENT
        return True

    async def usable(self) -> bool:
        """Whether it is worth trying to write again; a file that is damaged is replaced first.

        Nothing is made for one that is astray: its place may be another daemon's by now.
        """
        segment = self._segment
        if self.astray():
            return False
        if not segment.broken and segment.error in _FULL:
            return True
        if self._spare is None and not await self._made():
            return False
        if self._spare is not None:
            self._enter(self._spare)
        return True

    async def sync(self) -> None:
        """Makes sure that the disk has every line that was written before; never raises OSError.

        Lines of a file that fails are in another one afterwards, and not synced yet.
        """
        dirty, self._dirty = self._dirty, []
        failed = False
        for segment in dirty:
            lines, segment.unsynced = segment.unsynced, []
            if segment.doubted or not await self._synced(segment):
                self._doubtful += lines
                failed = True
        if self._segment.doubted:
            await self._leave()
        self._write_doubtful()
        self.sync_fails = failed or bool(self._doubtful)
        if dirty and not self.sync_fails:
            self._telling_sync.ended()

    async def _synced(self, segment: Segment) -> bool:
        try:
            await self.in_thread(os.fdatasync, segment.handle)
        except OSError as error:
            segment.doubted = True
            segment.unmap()
            self._plan()
            self.sync_failures += 1
            self._telling_sync.again(errno=error.errno)
            return False
        segment.drop()
        return True

    async def _leave(self) -> None:
        """Goes on in another file, where one can be made."""
        if self._spare is None and not await self._made():
            return
        left = self._segment
        if self._spare is not None:
            self._enter(self._spare)
        if left in self._dirty:
            self._dirty.remove(left)
        self._doubtful += left.unsynced
        left.unsynced = []

    def _write_doubtful(self) -> None:
        done = 0
        for line in self._doubtful:
            if self._segment.doubted or not self._append(line):
                break
            done += 1
        del self._doubtful[:done]

    async def remove(self, segments: list[Segment]) -> bool:
        """Deletes files that `take_ended` gave; False where one stays, to be tried again."""
        try:
            await self.in_thread(_remove, segments)
        except OSError as error:
            self._telling_file.again(errno=error.errno)
            return False
        self._ended_bytes -= sum(segment.bytes for segment in segments)
        self._plan()
        return True

    def end(self, *, remove: bool) -> None:
        """Closes all files, or deletes them. Nothing is called afterwards."""
        self._thread.shutdown(wait=True)
        if self._spare is not None:
            self._spare.remove()
        for segment in self._all:
            segment.remove() if remove else segment.close()
        self._all, self._spare = [], None


def _remove(segments: list[Segment]) -> None:
    for segment in segments:
        segment.remove()
