"""The meter: what goes in comes out once; what memory has no room for is in the journal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from relayd.core.errors import RelayError
from relayd.relay.meter import Meter
from relayd.store.journal import JournalWriter
from tests.fakes.records import call_record
from tests.store.test_journal_replay import mark_of, opening_of
from tests.store.test_journal_segment import no_file_above


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[JournalWriter]:
    made = JournalWriter(tmp_path)
    await made.start()
    yield made
    await made.stop(stored=True)


async def test_what_is_appended_is_taken_once(journal: JournalWriter) -> None:
    meter = Meter(journal)
    first, second = call_record(), call_record()
    meter.append(first)
    meter.append(second)
    assert len(meter) == 2
    assert meter.take() == ([first, second], 2)
    assert meter.take() == ([], 2) and meter.since() == 0


@pytest.mark.parametrize("records_max", [1, 2, 3])
async def test_records_that_come_together(
    journal: JournalWriter, tmp_path: Path, records_max: int
) -> None:
    """They are where they would be had they come one by one."""
    records = [call_record() for _ in range(3)]
    (tmp_path / "other").mkdir()
    other = JournalWriter(tmp_path / "other")
    await other.start()
    together, single = Meter(journal, records_max), Meter(other, records_max)
    together.append_all(records[:2])
    together.append_all(records[2:])
    for record in records:
        single.append(record)
    assert (len(together), together.elsewhere) == (len(single), single.elsewhere)
    assert together.take() == single.take() and journal.number == other.number
    await other.stop(stored=True)


async def test_what_is_given_back_comes_first(journal: JournalWriter) -> None:
    meter = Meter(journal)
    old, new = call_record(), call_record()
    meter.append(old)
    taken, _ = meter.take()
    meter.append(new)
    meter.give_back(taken)
    assert meter.take().records == [old, new]


async def test_a_call_goes_to_the_journal(journal: JournalWriter) -> None:
    meter = Meter(journal)
    record = call_record()
    meter.check()
    meter.open(opening_of(record))
    meter.mark(mark_of(record, 1))
    assert journal.number == 2
    meter.append(record)
    assert journal.number == 3 and meter.take().through == 3


async def test_memory_is_bounded_and_the_journal_has_the_rest(journal: JournalWriter) -> None:
    meter = Meter(journal, records_max=2)
    records = [call_record() for _ in range(5)]
    for record in records:
        meter.append(record)
    # none is in memory now
    assert len(meter) == meter.elsewhere == 5 and meter.take() == ([], 0)
    assert meter.since() == 5
    meter.append(call_record())
    assert len(meter.take().records) == 1 and meter.since() == 5
    batch = await journal.read(0, 5)
    assert batch.records[:5] == records


async def test_what_is_given_back_beyond_the_bound_is_in_the_journal_too(
    journal: JournalWriter,
) -> None:
    meter = Meter(journal, records_max=2)
    meter.append(call_record())
    meter.append(call_record())
    taken, _ = meter.take()
    meter.append(call_record())
    meter.give_back(taken)
    assert len(meter) == 3 and meter.take() == ([], 0) and meter.since() == 3


async def test_what_no_file_has_is_in_memory_again(tmp_path: Path) -> None:
    records = [call_record() for _ in range(3)]
    with no_file_above(10):
        journal = JournalWriter(tmp_path)
        await journal.start()
        meter = Meter(journal, records_max=1)
        for record in records:
            meter.append(record)
        with pytest.raises(RelayError):
            meter.check()
    assert meter.elsewhere == 3 and meter.since() == 0
    assert meter.take().records == records
    await journal.stop(stored=True)
