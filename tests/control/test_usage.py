"""Posting is all or nothing and harmless twice; the views are the contract's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from relayd.control import account, usage
from relayd.control.ledger import verify
from relayd.core.columns import Columns, in_one
from relayd.core.price import Price, PriceBook, unit_prices
from relayd.core.timestamp import HOUR_MS
from relayd.store.applied import Applied, position
from relayd.store.db import Database
from relayd.store.directory import StoreError
from relayd.store.record import CallFilter
from tests.fakes.erased import erase
from tests.fakes.records import START_MS, call_record

FIELDS = """
    id started_at account key app api endpoint model provider provider_model stream status outcome
    error attempts input_tokens output_tokens cache_read_input_tokens cache_creation_input_tokens
    reasoning_output_tokens audio_input_tokens audio_output_tokens counted_input_tokens
    counted_output_tokens usage_source amount_nano currency first_byte_ms duration_ms
""".split()


async def test_posting_twice_counts_once(db: Database) -> None:
    records = [call_record() for _ in range(1500)]
    assert await usage.post(db, records[:1000]) == 1000
    assert await usage.post(db, records) == 500
    assert await usage.post(db, []) == 0
    [total] = await usage.totals(db, CallFilter())
    assert total.sums.calls == 1500 and total.sums.input_tokens == 150_000
    assert [record async for record in usage.calls(db, CallFilter())] == records
    assert await verify(db) == []


async def test_what_is_refused_is_found_in_few_transactions(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [call_record(input_tokens=-1 if n in (7, 400) else 1) for n in range(500)]
    begun: list[int] = []
    post_parts = usage.post_parts

    async def counted(*given: Any) -> Sequence[Columns]:
        begun.append(sum(map(len, given[1])))
        return await post_parts(*given)

    monkeypatch.setattr(usage, "post_parts", counted)
    found = await usage.post_each(db, records)
    good = [record for record in records if record.input_tokens == 1]
    assert found.refused == [records[7].id, records[400].id] and found.new == 498
    assert in_one(found.fresh) == good and len(begun) < 50
    assert [record async for record in usage.calls(db, CallFilter())] == good
    assert await verify(db) == []


async def test_calls_of_one_account_come_by_start_across_hours_and_pages(db: Database) -> None:
    records = [
        call_record(started_at_ms=START_MS + n * HOUR_MS // 900, account="ab"[n % 3 == 0])
        for n in range(3600)
    ]
    await usage.post(db, records)
    mine = [record for record in records if record.account == "a"]
    assert [record async for record in usage.calls(db, CallFilter("a"))] == mine
    since_ms, until_ms = START_MS + HOUR_MS // 2, START_MS + 2 * HOUR_MS + 12345
    assert [record async for record in usage.calls(db, CallFilter("a", since_ms, until_ms))] == [
        record for record in mine if since_ms <= record.started_at_ms < until_ms]


async def test_a_batch_with_nonsense_leaves_nothing(db: Database) -> None:
    with pytest.raises(StoreError):
        await usage.post(db, [call_record(), call_record(attempts=-1)])
    assert await usage.totals(db, CallFilter()) == []
    assert await verify(db) == []


def book(nano: int, since_ms: int = 0) -> PriceBook:
    """So much for each call, from a moment on."""
    return PriceBook([Price("*", unit_prices({"call": nano}), since_ms=since_ms)])


async def test_records_are_rated_as_they_are_posted_and_never_again(db: Database) -> None:
    records = [call_record(started_at_ms=START_MS + n) for n in range(3)]
    assert await usage.post(db, records[:2], book(7, START_MS + 1)) == 2
    # the same calls come again, after a crash and a change of prices
    assert await usage.post(db, records, book(9)) == 1
    stored = [record async for record in usage.calls(db, CallFilter())]
    assert [record.amount_nano for record in stored] == [0, 7, 9]
    [total] = await usage.totals(db, CallFilter())
    assert total.sums.amount_nano == 16
    assert await verify(db) == []


async def test_the_largest_amount_can_be_stored(db: Database) -> None:
    large = PriceBook([Price("*", unit_prices({"input": 10 ** 15}))])
    assert await usage.post(db, [call_record(input_tokens=1 << 40)], large) == 1
    [stored] = [record async for record in usage.calls(db, CallFilter())]
    assert stored.amount_nano == 1 << 53


def test_the_view_has_the_contracts_fields_in_order() -> None:
    shown = usage.view(call_record(started_at_ms=START_MS + 7))
    assert list(shown) == FIELDS
    assert shown["started_at"] == "2026-01-01T00:00:00.007Z"
    assert shown["stream"] is True and shown["first_byte_ms"] == 12.345


async def test_labels_of_who_is_erased_are_left_out_and_no_others(db: Database) -> None:
    gone, here = [(await account.create(db, f"{name}@example.org", None, START_MS)).id
                  for name in ("gone", "here")]
    await erase(db, gone, START_MS)
    # of some parts of a batch every record has the label, of some a few, of some none
    batch = [call_record(account=who, app=app) for who in (gone, here)
             for app in ("one", "one", "other", None)]
    await usage.post(db, [*batch, call_record(account=here)])
    assert {(record.account, record.app) async for record in usage.calls(db, CallFilter())} == {
        (gone, None), (here, "one"), (here, "other"), (here, None)}
    assert await verify(db) == []


async def test_how_far_the_journal_is_applied_is_noted_with_the_records(db: Database) -> None:
    await usage.post(db, [call_record()], applied=Applied(3, 7))
    await usage.post(db, [], applied=Applied(3, 9))
    with pytest.raises(StoreError):
        await usage.post(db, [call_record(input_tokens=-1)], applied=Applied(3, 11))
    async with db.reading() as transaction:
        assert await position(transaction, 3) == 9
