"""Margins: past days are kept and add up to the rollups, late calls included; today is read."""

from __future__ import annotations

from relayd.control import margin, retention, usage
from relayd.core.margin import Margin
from relayd.core.plan import Plan, Tariff
from relayd.core.price import Price, PriceBook, unit_prices
from relayd.core.timestamp import DAY_MS
from relayd.store.db import Database
from relayd.store.record import CallFilter
from tests.fakes.records import START_MS, call_record

BOOK = PriceBook([Price("*", unit_prices({"call": 1000}))])
DEARER = Tariff(BOOK, {"default": Plan("default", 1_250_000)})
NOW = START_MS + 2 * DAY_MS + 1


async def post(db: Database, at_ms: int, count: int = 1, **changes: object) -> None:
    await usage.post(db, [call_record(started_at_ms=at_ms + n, **changes)
                          for n in range(count)], DEARER)


async def revenue(db: Database) -> int:
    return sum(total.sums.amount_nano for total in await usage.totals(db, CallFilter()))


async def test_days_add_up_to_the_rollups(db: Database) -> None:
    await post(db, START_MS, 1500)
    await post(db, START_MS + DAY_MS, 2, model="other", provider="local")
    await post(db, NOW)
    assert await margin.settle(db, BOOK, NOW) == 2 and await margin.settle(db, BOOK, NOW) == 0
    found = await margin.read(db, BOOK, START_MS, NOW)
    assert found.until_ms == START_MS + 3 * DAY_MS
    assert sum(each.revenue_nano for each in found.sums.values()) == await revenue(db)
    assert margin.by(found.sums, "model") == {
        ("gpt-4o-mini", "USD"): Margin(1501, 1501 * 1250, 1501 * 1000),
        ("other", "USD"): Margin(2, 2500, 2000)}
    assert list(margin.by(found.sums, "provider")) == [("openai", "USD"), ("local", "USD")]
    assert list(margin.by(found.sums, "day_ms")) == [
        (str(START_MS + day * DAY_MS), "USD") for day in (2, 1, 0)]
    # a call that the journal brought late
    await post(db, START_MS + 5000)
    assert await margin.settle(db, BOOK, NOW) == 1
    found = await margin.read(db, BOOK, START_MS, NOW)
    assert sum(each.revenue_nano for each in found.sums.values()) == await revenue(db)


async def test_a_busy_day_is_shown_when_it_is_over(db: Database) -> None:
    await post(db, START_MS)
    await post(db, NOW, 2)
    await margin.settle(db, BOOK, NOW)
    found = await margin.read(db, BOOK, START_MS, NOW, today_calls_max=1)
    assert found.until_ms == START_MS + 2 * DAY_MS
    assert [each.calls for each in found.sums.values()] == [1]


async def test_days_whose_records_are_gone_stay_as_they_are(db: Database) -> None:
    await post(db, START_MS, 2)
    await margin.settle(db, BOOK, NOW)
    before = await margin.read(db, BOOK, START_MS, NOW)
    assert await retention.sweep_batch(db, START_MS + 1, 10) == 1
    # one that no record can say more of
    await post(db, START_MS + 2)
    assert await margin.settle(db, BOOK, NOW) == 0
    assert await margin.read(db, BOOK, START_MS, NOW) == before
