"""Pages go through all wanted calls, newest first, once each, whatever comes in between."""

from __future__ import annotations

import pytest

from relayd.control import call, usage
from relayd.core.call import CallSearch, Place
from relayd.core.errors import RelayError
from relayd.core.record import CallRecord
from relayd.core.timestamp import HOUR_MS
from relayd.store.db import Database
from tests.fakes.records import START_MS, call_record

END_MS = START_MS + 1000 * HOUR_MS


def search(account: str = "acct_1", since_ms: int = START_MS, until_ms: int = END_MS,
           **wanted: str) -> CallSearch:
    """All calls of an account, or those with the wanted values."""
    return CallSearch(account, since_ms, until_ms, **wanted)


async def walked(db: Database, wanted: CallSearch, most: int) -> list[CallRecord]:
    """All pages, one after the other; while a new call comes in before each."""
    found: list[CallRecord] = []
    before: Place | None = None
    while True:
        page = await call.page(db, wanted, before, most)
        assert len(page.calls) <= most
        found += page.calls
        before = page.next
        if before is None:
            return found
        await usage.post(db, [call_record(started_at_ms=END_MS - 1 - len(found))])


@pytest.mark.parametrize("most", (1, 7, 50))
async def test_pages_hold_every_call_once(db: Database, most: int) -> None:
    records = [call_record(started_at_ms=START_MS + n * HOUR_MS // 7, account=f"acct_{n % 2}")
               for n in range(60)]
    await usage.post(db, records)
    mine = [record for record in records if record.account == "acct_1"]
    assert await walked(db, search(), most) == mine[::-1]


async def test_calls_far_apart_are_found_behind_many_hours(db: Database) -> None:
    records = [call_record(started_at_ms=START_MS + n * 3 * HOUR_MS) for n in range(120)]
    await usage.post(db, records)
    first = await call.page(db, search(), None, 100)
    assert len(first.calls) == call.HOURS_MAX and first.next is not None
    assert [record async for page in call.pages(db, search()) for record in page] == records[::-1]


async def test_a_call_at_the_start_of_the_last_hour_read_comes_once(db: Database) -> None:
    records = [call_record(started_at_ms=START_MS + n * HOUR_MS)
               for n in range(call.HOURS_MAX + 2)]
    await usage.post(db, records)
    assert [record async for page in call.pages(db, search()) for record in page] == records[::-1]


async def test_a_page_ends_when_its_time_is_over(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [call_record(started_at_ms=START_MS + n * HOUR_MS // 2) for n in range(12)]
    await usage.post(db, records)
    monkeypatch.setattr("relayd.control.call.PAGE_SECONDS", -1.0)
    first = await call.page(db, search())
    assert first.calls == records[:9:-1] and first.next is not None
    assert [record async for page in call.pages(db, search()) for record in page] == records[::-1]


@pytest.mark.parametrize("wanted", (
    {"key": "key_2"}, {"model": "b"}, {"outcome": "refused"}, {"model": "b", "key": "key_1"},
    {"model": "nothing"}))
async def test_filters(db: Database, wanted: dict[str, str]) -> None:
    records = [
        call_record(started_at_ms=START_MS + n, key=f"key_{n % 3}", model="ab"[n % 2],
                    outcome=("completed", "refused")[n % 5 == 0]) for n in range(40)]
    await usage.post(db, records)
    matching = [record for record in reversed(records)
                if all(getattr(record, name) == value for name, value in wanted.items())]
    assert await walked(db, search(**wanted), 3) == matching


async def test_the_times_are_bounds(db: Database) -> None:
    records = [call_record(started_at_ms=START_MS + n * 600_000) for n in range(20)]
    await usage.post(db, records)
    wanted = search(since_ms=START_MS + 600_000, until_ms=START_MS + 10 * 600_000)
    assert await walked(db, wanted, 4) == records[9:0:-1]


async def test_one_call_is_its_owners_alone(db: Database) -> None:
    record = call_record()
    await usage.post(db, [record])
    place = Place(record.started_at_ms, record.id)
    assert await call.get(db, "acct_1", place) == record
    for account, elsewhere in (("acct_2", place), ("acct_1", place._replace(started_at_ms=1))):
        with pytest.raises(RelayError) as caught:
            await call.get(db, account, elsewhere)
        assert caught.value.code == "call_not_found"


async def test_figures_are_of_the_latest_calls(db: Database) -> None:
    await usage.post(db, [
        call_record(started_at_ms=START_MS + n * 60_000, first_byte_ms=float(n),
                    outcome="provider_error" if n % 10 == 0 else "completed")
        for n in range(200)])
    found = await call.how_they_went(db, search())
    assert found == (200, 20, 0, 99.0, 189.0)
    many = [call_record(started_at_ms=END_MS - 1 - n, first_byte_ms=1000.0)
            for n in range(call.FIGURES_CALLS_MAX + 5)]
    await usage.post(db, many)
    found = await call.how_they_went(db, search())
    assert found.of == call.FIGURES_CALLS_MAX and found.first_byte_p50_ms == 1000.0


async def test_keys_were_last_used_in_an_hour(db: Database) -> None:
    await usage.post(db, [
        call_record(started_at_ms=START_MS + 5), call_record(started_at_ms=START_MS + HOUR_MS + 7),
        call_record(started_at_ms=START_MS, key="key_2"), call_record(account="acct_2")])
    assert await call.last_used(db, "acct_1") == {
        "key_1": START_MS + HOUR_MS, "key_2": START_MS}
