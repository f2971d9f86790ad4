"""Recovery: what an earlier daemon's journal has and the store has not, before anything is served.

Law: done again it does nothing, so a crash in the middle of it is harmless. A lane's files go when
all of it is in the store.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from relayd.control import usage
from relayd.core.price import NO_PRICES, Rates
from relayd.store import applied as store_applied
from relayd.store import journal_segment
from relayd.store.applied import Applied
from relayd.store.db import Database
from relayd.store.directory import sync_directory
from relayd.store.journal_lane import Lane
from relayd.store.journal_replay import Replay
from relayd.store.transaction import mapped


@dataclass(slots=True)
class Recovered:
    """What came of the lanes of earlier daemons.

    `files` were there, `replayed` records were in the journal alone, `interrupted` calls were open
    when their daemon died, `torn_bytes` are those of no line that can be read. `refused` are ids
    of records that the store does not take.
    """

    files: int = 0
    replayed: int = 0
    interrupted: int = 0
    torn_bytes: int = 0
    refused: tuple[str, ...] = ()


async def recover(
    db: Database, lanes: Iterable[Lane], book: Rates = NO_PRICES
) -> tuple[Recovered, dict[int, int]]:
    """Replay these lanes, which the caller owns; also gives the last line's number of each.

    Raises StoreError; what was replayed until then stays.
    """
    found = Recovered()
    numbers = {}
    for lane in lanes:
        numbers[lane.number] = await _replay(db, lane, book, found)
    return found, numbers


async def _replay(db: Database, lane: Lane, book: Rates, found: Recovered) -> int:
    async with db.reading() as transaction:
        after = await store_applied.position(transaction, lane.number)
    with mapped():
        files = journal_segment.paths(lane.directory)
    replay = Replay(files, after)
    batches = replay.batches()
    while True:
        with mapped():
            batch = next(batches, None)
        if batch is None:
            break
        done = await usage.post_each(
            db, batch.records, book, Applied(lane.number, batch.through))
        found.replayed += done.new
        found.refused += tuple(done.refused)
    last = max(after, replay.last)
    if files:
        # a position is noted even where nothing was open: numbers must go on behind it
        done = await usage.post_each(db, replay.interrupted(), book, Applied(lane.number, last))
        found.interrupted += done.new
        found.refused += tuple(done.refused)
    with mapped():
        for file in files:
            file.unlink(missing_ok=True)
        sync_directory(lane.directory)
    found.files += len(files)
    found.torn_bytes += replay.torn_bytes
    return last
