"""The journal held against the store: every call that closed in it must be recorded as it says.

Law: reads and changes nothing; right beside a daemon that runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from relayd.core.record import CallRecord
from relayd.store import applied as store_applied
from relayd.store import journal_segment
from relayd.store import meta as store_meta
from relayd.store import record as store_record
from relayd.store.db import Database
from relayd.store.journal_lane import lane_directory, lanes
from relayd.store.journal_replay import Replay
from relayd.store.record import Identity
from relayd.store.transaction import mapped

_RATED: Final = frozenset({"amount_nano", "currency"})
"""What a record gets only when it is stored."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A call whose record is not what the journal says; `stored` None: there is none."""

    logged: CallRecord
    stored: CallRecord | None


@dataclass(slots=True)
class Finding:
    """What the journal's files say: `closed` calls in all, of which `waiting` are not stored yet.

    `torn_bytes` belong to no line that can be read; beside a daemon that writes they may be the
    line that it is writing.
    """

    files: int = 0
    closed: int = 0
    waiting: int = 0
    torn_bytes: int = 0
    mismatches: list[Mismatch] = field(default_factory=list)


async def verify(db: Database) -> Finding:
    """Looks at every file that is still there. Raises StoreError."""
    found = Finding()
    for number in lanes(db.directory):
        await _verify_lane(db, number, found)
    return found


async def _verify_lane(db: Database, number: int, found: Finding) -> None:
    # read first: what is applied by now stays applied while all else goes on
    async with db.reading() as transaction:
        applied = await store_applied.position(transaction, number)
    directory = lane_directory(db.directory, number)
    files = journal_segment.paths(directory)
    replay = Replay(files)
    missing: list[CallRecord] = []
    for records in _closed(replay):
        async with db.reading() as transaction:
            stored = await store_record.find(transaction, [_identity(each) for each in records])
        found.closed += len(records)
        missing += [each for each in records if _identity(each) not in stored]
        found.mismatches += [
            Mismatch(each, stored[_identity(each)]) for each in records
            if _identity(each) in stored and differences(each, stored[_identity(each)])]
    if missing:
        # asked last: whatever was swept before the record was looked for is known to be
        async with db.reading() as transaction:
            swept_ms = await store_meta.swept_ms(transaction)
        missing = [each for each in missing if each.started_at_ms >= swept_ms]
        later = {_identity(each) for records in _closed(Replay(files, applied))
                 for each in records}
        lost = [each for each in missing if _identity(each) not in later]
        found.mismatches += [Mismatch(each, None) for each in lost]
        found.waiting += len(missing) - len(lost)
    found.files += len(files)
    found.torn_bytes += replay.torn_bytes


def _closed(replay: Replay) -> Iterator[Sequence[CallRecord]]:
    with mapped():
        for batch in replay.batches():
            yield batch.records


def _identity(record: CallRecord) -> Identity:
    return record.started_at_ms, record.id


def differences(logged: CallRecord, stored: CallRecord | None) -> list[tuple[str, object, object]]:
    """What differs: (field, stored, in the journal); all that is missing is one `record`."""
    if stored is None:
        return [("record", None, logged.id)]
    return [(name, getattr(stored, name), getattr(logged, name))
            for name in CallRecord.__struct_fields__
            if name not in _RATED and getattr(stored, name) != getattr(logged, name)]


def view(mismatch: Mismatch) -> dict[str, object]:
    """One mismatch as JSON shows it: `[stored, in the journal]` of what differs."""
    return {
        "call": mismatch.logged.id,
        "differs": {name: [stored, logged]
                    for name, stored, logged in differences(mismatch.logged, mismatch.stored)},
    }
