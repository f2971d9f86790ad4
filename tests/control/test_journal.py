"""The journal's calls are recorded as it says, wait to be, or are told of."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest

from relayd.control import journal, usage
from relayd.core.price import Price, PriceBook, unit_prices
from relayd.store.applied import Applied
from relayd.store.db import Database
from relayd.store.journal import JournalWriter
from relayd.store.journal_lane import claim
from tests.fakes.records import call_record
from tests.store.test_journal_replay import opening_of


@pytest.fixture
async def writer(db: Database) -> AsyncIterator[JournalWriter]:
    (lane,) = claim(db.directory)
    made = JournalWriter(lane.directory)
    await made.start()
    yield made
    await made.stop(stored=True)
    lane.release()


async def test_no_journal_is_no_fault(db: Database) -> None:
    assert await journal.verify(db) == journal.Finding()


async def test_what_is_recorded_and_what_waits(db: Database, writer: JournalWriter) -> None:
    records = [call_record() for _ in range(3)]
    writer.open(opening_of(call_record()))
    for record in records:
        writer.close(record)
    book = PriceBook([Price("*", unit_prices({"call": 5}))])
    await usage.post(db, records[:2], book, Applied(0, 3))  # what it costs is not the journal's
    found = await journal.verify(db)
    assert (found.files, found.closed, found.waiting, found.mismatches) == (1, 3, 1, [])


async def test_what_is_missing_or_otherwise_is_shown(
    db: Database, writer: JournalWriter
) -> None:
    same, other, missing = (call_record() for _ in range(3))
    for record in (same, other, missing):
        writer.close(record)
    changed = msgspec.structs.replace(other, output_tokens=21, app="x")
    await usage.post(db, [same, changed], applied=Applied(0, 3))
    found = await journal.verify(db)
    assert found.waiting == 0
    assert [journal.view(each) for each in found.mismatches] == [
        {"call": other.id, "differs": {"app": ["x", None], "output_tokens": [21, 20]}},
        {"call": missing.id, "differs": {"record": [None, missing.id]}},
    ]


async def test_bytes_that_cannot_be_read_are_counted(
    db: Database, writer: JournalWriter
) -> None:
    writer.close(call_record())
    with open(next(db.directory.glob("journal/0/*.journal")), "r+b") as file:
        file.seek(writer.bytes)
        file.write(b"\xa5\x01torn")
    found = await journal.verify(db)
    assert (found.closed, found.torn_bytes) == (1, 6)
