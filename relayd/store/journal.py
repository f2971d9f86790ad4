"""The journal: every call in a file before it is sent, and again when it has ended.

Nothing that the relay calls here waits for a disk. A line that was written survives the process,
one that was synced survives the machine.

Law: no call is opened that could not be written down. What closes is never refused: a line that
the disk does not take now waits in memory, no more of them than calls were under way, and is
written as soon as it can be. A file goes when all calls that closed in it are in the store;
openings of calls that are still under way are carried over first.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from relayd.core.errors import RelayError
from relayd.core.journal import Mark, Opening
from relayd.core.record import CallRecord
from relayd.ops.logging import Logger
from relayd.ops.notice import Lasting
from relayd.store.journal_files import Files
from relayd.store.journal_frame import CLOSE, NOTHING, OPEN, PROGRESS
from relayd.store.journal_replay import Batch, Replay
from relayd.store.journal_segment import Segment
from relayd.store.transaction import mapped

SEGMENT_BYTES: Final = 64 * 1024 * 1024
SEGMENT_SECONDS: Final = 3600.0
"""A file whose calls are all in the store is ended when it is older."""
BYTES_MAX: Final = 4 * 1024 * 1024 * 1024
RETRY_SECONDS: Final = 1.0
"""How long the disk is left alone when it has failed."""
RETRY_AFTER_SECONDS: Final = 2
PROBE: Final = bytes(4096)
"""A disk that takes this takes calls again."""

_encode: Final = msgspec.msgpack.Encoder().encode


class JournalWriter:
    """One lane's journal: `start()`, `run()` as a task, `stop()`.

    `pending` are closed calls that are not in a file yet.
    """

    def __init__(
        self, directory: Path, *, number: int = 0, sync_ms: int = 50,
        segment_bytes: int = SEGMENT_BYTES, bytes_max: int = BYTES_MAX,
        log: Logger | None = None,
    ) -> None:
        self.pending: list[CallRecord] = []
        self._sync_seconds = sync_ms / 1000
        log = log or Logger()
        self._telling_stuck = Lasting(log, "journal_stuck", "journal_writes_again")
        self._telling_full = Lasting(log, "journal_full", "journal_has_room")
        self._wake = asyncio.Event()
        self._files = Files(
            directory, number=number, segment_bytes=segment_bytes, bytes_max=bytes_max,
            wake=self._wake.set, log=log)
        self._write = self._files.write
        self._live: dict[str, tuple[int, Opening]] = {}
        self._marks: dict[str, Mark] = {}
        self._stuck = False
        self._applied = number
        self._leaving: list[Segment] = []
        self._waiting: list[Callable[[], None]] = []
        self._stopping = False
        self._one_at_a_time = asyncio.Lock()
        self._reading: tuple[int, int, Iterator[Batch]] | None = None

    # what the relay calls

    def open(self, opening: Opening) -> None:
        """Writes that a call is about to be sent; raises RelayError `journal_full`."""
        if self._stuck or self._files.full or not self._write(OPEN, _encode(opening)):
            if not self._files.full:
                self._get_stuck()
            self.check()
        self._live[opening.id] = self._files.number, opening

    def check(self) -> None:
        """Raises RelayError `journal_full` where no call can be opened now."""
        if self._stuck or self._files.full:
            if self._files.full:
                self._telling_full.again(bytes=self._files.size, in_flight=len(self._live))
            raise RelayError("journal_full", retry_after_seconds=RETRY_AFTER_SECONDS)

    def mark(self, mark: Mark) -> None:
        """Writes how far a call has come; a mark that cannot be written is left out."""
        if mark.id not in self._live or self._stuck:
            return
        if self._write(PROGRESS, _encode(mark)):
            self._marks[mark.id] = mark
        else:
            self._get_stuck()

    def close(self, record: CallRecord) -> None:
        """Writes a call's end, now or later; never raises.

        What no line can hold stays open; the store does not take it either, and says so.
        """
        try:
            value = _encode(record)
        except (OverflowError, UnicodeEncodeError):
            return
        if self._stuck or not self._write(CLOSE, value):
            self.pending.append(record)
            self._get_stuck()
            return
        self._live.pop(record.id, None)
        if self._marks:
            self._marks.pop(record.id, None)

    def close_all(self, records: Sequence[CallRecord]) -> None:
        """The same for calls that ended together."""
        try:
            done = not self._stuck and self._files.write_all(CLOSE, map(_encode, records))
        except (OverflowError, UnicodeEncodeError):  # one of them costs the others nothing
            done = False
        if not done:
            for record in records:
                self.close(record)
            return
        for record in records:
            self._live.pop(record.id, None)
            if self._marks:
                self._marks.pop(record.id, None)

    @property
    def waits(self) -> bool:
        """Whether an answer's last byte waits for the disk: `sync_ms` is 0."""
        return not self._sync_seconds

    def when_synced(self, wake: Callable[[], None]) -> bool:
        """True where nothing is to be waited for: `sync_ms` is not 0, or the disk has all.

        Else `wake` is called, once, when the disk has every line that is written now, or has
        failed to take them, which is a matter for an alarm and not for a client to wait for.
        """
        if self._sync_seconds or not (self._files.dirty or self._one_at_a_time.locked()):
            return True
        self._waiting.append(wake)
        self._wake.set()
        return False

    # what those ask who watch it

    @property
    def number(self) -> int:
        """The number of the last line."""
        return self._files.number

    @property
    def healthy(self) -> bool:
        """Whether calls can be opened, and the disk takes what is written."""
        return not (self._stuck or self._files.full or self._files.sync_fails)

    def waited_seconds(self) -> float:
        """For how long the thread has waited for the disk; 0.0 where it does not."""
        return self._files.waited_seconds()

    @property
    def bytes(self) -> int:
        """What all files hold."""
        return self._files.size

    @property
    def segments(self) -> int:
        """How many files there are."""
        return self._files.count

    @property
    def sync_failures(self) -> int:
        """How often the disk failed to take what was written."""
        return self._files.sync_failures

    # what the flush job calls

    async def read(self, after: int, until: int) -> Batch:
        """The next calls that closed behind line `after`, of those up to `until`.

        The batch's `through` is `until` when there are no more. Raises OSError.
        """
        reading, self._reading = self._reading, None
        if reading is None or reading[:2] != (after, until):
            reading = after, until, Replay(self._files.behind(after), after).batches()
        batch = await self._files.in_thread(next, reading[2], None)
        if batch is None or batch.through >= until:
            return Batch([] if batch is None else batch.records, until)
        self._reading = batch.through, until, reading[2]
        return batch

    def look(self) -> None:
        """Notice where files were moved away or deleted: no call is opened that is lost then."""
        if self._files.astray():
            self._get_stuck()

    def applied(self, number: int) -> None:
        """Every call that closed up to this line is in the store, for good."""
        self._applied = max(self._applied, number)
        if number >= self._files.number:
            self._files.end_when_older(SEGMENT_SECONDS)
        if 0 < self._files.oldest <= number:
            self._wake.set()

    # its life

    async def start(self) -> None:
        """Makes the first file; raises StoreError."""
        with mapped():
            await self._files.start()

    async def run(self) -> None:
        """Syncs and tidies until `stop()`."""
        while not self._stopping:
            if self._stuck or self._files.sync_fails:
                await asyncio.sleep(RETRY_SECONDS)
            else:
                await self._wake.wait()
                await asyncio.sleep(self._sync_seconds)
            if not self._stopping:
                await self.work()

    async def work(self) -> None:
        """One round of all that waits for the disk."""
        async with self._one_at_a_time:
            self._wake.clear()
            files = self._files
            if self._stuck:
                if await files.usable():
                    self._get_going()
                else:
                    self._tell_stuck()
            await files.tidy()
            carried = self._leave_behind()
            waiting, self._waiting = self._waiting, []
            await files.sync()
            if carried and not files.sync_fails and await files.remove(self._leaving):
                self._leaving = []
            if not files.full:
                self._telling_full.ended(bytes=files.size)
        for wake in waiting:
            wake()

    async def stop(self, *, stored: bool) -> bool:
        """Ends it; `stored` says that every closed call is in the store: then no file is left.

        False where closed calls are neither in the store nor in a file that the disk has.
        """
        self._stopping = True
        self._wake.set()
        if self._files.count:
            await self.work()
            if self._files.sync_fails:  # what may be lacking is in another file now
                await self.work()
        astray = self._files.count > 0 and self._files.astray()
        remove = stored and not self._live
        for segment in self._leaving:
            segment.remove() if remove else segment.close()
        self._files.end(remove=remove)
        return stored or not (self.pending or self._files.sync_fails or astray)

    def _get_stuck(self) -> None:
        if not self._stuck:
            self._stuck = True
            self._tell_stuck()
            self._wake.set()

    def _tell_stuck(self) -> None:
        # a write that is merely cut short says no more than that
        self._telling_stuck.again(errno=self._files.error or errno.ENOSPC,
                                  in_flight=len(self._live))

    def _get_going(self) -> None:
        """Writes what has waited; calls are opened again when all of it is in a file."""
        self._stuck = False
        pending, self.pending = self.pending, []
        for place, record in enumerate(pending):
            self.close(record)
            if self._stuck:
                self.pending += pending[place + 1:]
                return
        if self._write(NOTHING, PROBE):
            self._telling_stuck.ended(records=len(pending))
        else:
            self._get_stuck()

    def _leave_behind(self) -> bool:
        """Takes out files that are applied; True when nothing that is open is in them alone.

        What is still open is written again, to be synced before those files go.
        """
        self._leaving += self._files.take_ended(self._applied)
        if not self._leaving:
            return False
        last = self._leaving[-1].last
        behind = [call_id for call_id, (number, _) in self._live.items() if number <= last]
        return all([self._carry(call_id) for call_id in behind])

    def _carry(self, call_id: str) -> bool:
        opening = self._live[call_id][1]
        if self._stuck or not self._write(OPEN, _encode(opening)):
            return False
        self._live[call_id] = self._files.number, opening
        mark = self._marks.get(call_id)
        return mark is None or self._write(PROGRESS, _encode(mark))
