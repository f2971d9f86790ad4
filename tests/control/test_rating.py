"""Recorded amounts against the book: what differs is found, counted and bounded."""

from __future__ import annotations

import pytest

from relayd.control import rating, usage
from relayd.core.plan import Tariff
from relayd.core.price import NO_PRICES, Price, PriceBook, unit_prices
from relayd.store.db import Database
from tests.fakes.records import START_MS, call_record


def price(
    nano: int, model: str = "gpt-4o-mini", since_ms: int = 0, currency: str = "USD",
) -> Price:
    return Price(model, unit_prices({"call": nano}), since_ms=since_ms, currency=currency)


async def test_what_was_rated_by_the_book_is_as_it_says(db: Database) -> None:
    book = PriceBook([price(7), price(9, since_ms=START_MS + 100), price(1, "m", currency="EUR")])
    records = [call_record(started_at_ms=START_MS + n * 50) for n in range(4)]
    records += [call_record(model="m", provider_model=None), call_record(provider_model="dear"),
                call_record(outcome="refused", usage_source="none"),
                call_record(provider=None, outcome="refused", usage_source="none")]
    await usage.post(db, records, book)
    found = await rating.verify(db, Tariff(book))
    assert (found.compared, found.differing, found.unlike) == (7, 0, [])
    assert await rating.verify(db, Tariff(NO_PRICES)) == rating.Finding()


async def test_a_book_that_was_edited(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rating, "UNLIKE_MAX", 2)
    records = [call_record(started_at_ms=START_MS + n) for n in range(3)]
    await usage.post(db, records, PriceBook([price(7)]))
    edited = PriceBook([price(8), price(7, since_ms=START_MS + 2)])
    found = await rating.verify(db, Tariff(edited))
    assert (found.compared, found.differing) == (3, 2)
    assert [each.record.id for each in found.unlike] == [records[0].id, records[1].id]
    assert rating.view(found.unlike[0]) == {
        "call": records[0].id, "information": True,
        "differs": {"amount_nano": [7, 8], "currency": ["USD", "USD"]}}
    in_euro = await rating.verify(db, Tariff(PriceBook([price(7, currency="EUR")])))
    assert in_euro.differing == 3 and len(in_euro.unlike) == 2
    # without an amount there is no currency to differ
    await usage.post(db, [call_record(model="m", provider_model="m")])
    free = await rating.verify(db, Tariff(PriceBook([price(0, "m", currency="EUR")])))
    assert (free.compared, free.differing) == (1, 0)


async def test_an_amount_of_a_call_that_is_not_billed_is_found(db: Database) -> None:
    await usage.post(db, [call_record(amount_nano=7, outcome="refused", usage_source="none")])
    assert (await rating.verify(db, Tariff(PriceBook([price(7)])))).differing == 1
