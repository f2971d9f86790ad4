"""Reads a lane's files again: the calls that were closed, and those that were opened and never
closed.

Law: reads and never changes anything. Which calls are open is known when all files have been read,
not before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from relayd.core.journal import Mark, Opening, interrupted
from relayd.core.record import CallRecord
from relayd.store.journal_frame import CLOSE, OPEN, PROGRESS, Entry, Reader, identity
from relayd.store.journal_segment import pieces

BATCH_RECORDS: Final = 1000

_opening: Final = msgspec.msgpack.Decoder(Opening)
_mark: Final = msgspec.msgpack.Decoder(Mark)
_record: Final = msgspec.msgpack.Decoder(CallRecord)


class Batch(NamedTuple):
    """Closed calls, and the number of the line that they reach up to."""

    records: list[CallRecord]
    through: int


class Replay:
    """One reading of files, oldest first. Calls that closed up to line `after` are left out.

    `last` is the highest number seen; `torn_bytes` are bytes that belong to no line that can be
    read, or are of no value that is known.
    """

    def __init__(self, files: Iterable[Path], after: int = 0) -> None:
        self._files = files
        self._after = after
        self._open: dict[str, tuple[bytes, bytes | None]] = {}
        self.last = 0
        self.torn_bytes = 0

    def batches(self) -> Iterator[Batch]:
        """The closed calls in the order in which they closed; raises OSError."""
        records: list[CallRecord] = []
        for entry in self._entries():
            self.last = max(self.last, entry.number)
            try:
                record = self._take(entry)
            except msgspec.MsgspecError:
                self.torn_bytes += len(entry.value)
                continue
            if record is not None:
                records.append(record)
            if len(records) == BATCH_RECORDS:
                yield Batch(records, self.last)
                records = []
        if records:
            yield Batch(records, self.last)

    def interrupted(self) -> list[CallRecord]:
        """The records of the calls that were never closed; asked when all has been read."""
        return [interrupted(opening, mark) for opening, mark in self._decoded()]

    def _decoded(self) -> Iterator[tuple[Opening, Mark | None]]:
        for opening, mark in self._open.values():
            try:
                yield _opening.decode(opening), None if mark is None else _mark.decode(mark)
            except msgspec.MsgspecError:
                self.torn_bytes += len(opening)

    def _entries(self) -> Iterator[Entry]:
        for file in self._files:
            reader = Reader()
            for piece in pieces(file):
                yield from reader.feed(piece)
            yield from reader.finish()
            self.torn_bytes += reader.torn_bytes

    def _take(self, entry: Entry) -> CallRecord | None:
        """Notes a line; gives the record of a call that closed with it."""
        number, kind, value = entry
        if kind == OPEN:
            self._open[identity(value)] = value, None
        elif kind == PROGRESS:
            call_id = identity(value)
            if call_id in self._open:
                self._open[call_id] = self._open[call_id][0], value
        elif kind == CLOSE:
            self._open.pop(identity(value), None)
            if number > self._after:
                return _record.decode(value)
        return None
