"""Margins: revenue, cost and what is left, by day, model and provider.

Law: past days are summed once and kept, and summed again where their calls are not those that the
hours' sums have. Today is added up when it is asked for, unless it has too many calls for that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from relayd.control import retention, usage
from relayd.core.budget import day_of
from relayd.core.margin import Margin, MarginKey, add
from relayd.core.price import PriceBook
from relayd.core.record import CallRecord
from relayd.core.timestamp import DAY_MS
from relayd.store import margin as store_margin
from relayd.store.db import Database
from relayd.store.record import CallFilter

DAYS_AT_ONCE: Final = 31
BACK_DAYS: Final = 400
"""How far back days are summed that were not yet."""
TODAY_CALLS_MAX: Final = 50_000
"""A second's work; a busier day is shown when it is over."""
_BATCH: Final = 1000


class Reading(NamedTuple):
    """Margins of a period. `until_ms`: what they reach to, which may be today's start."""

    sums: dict[MarginKey, Margin]
    until_ms: int


async def settle(db: Database, book: PriceBook, now_ms: int) -> int:
    """Sums up past days that want it, some at a time; returns how many there were."""
    today = day_of(now_ms)
    kept_ms = await retention.kept_from_ms(db)
    # of the day in which the kept ones begin, some calls are gone
    since_ms = max(today - BACK_DAYS * DAY_MS, day_of(kept_ms + DAY_MS - 1))
    days: list[int] = []
    # a month at a time: nobody else reads the store meanwhile
    for begin_ms in range(since_ms, today, DAYS_AT_ONCE * DAY_MS):
        end_ms = min(today, begin_ms + DAYS_AT_ONCE * DAY_MS)
        async with db.reading_long() as transaction:
            days += await store_margin.stale(transaction, begin_ms, end_ms, DAYS_AT_ONCE)
        if len(days) >= DAYS_AT_ONCE:
            break
    for day_ms in days:
        sums = await _summed(db, book, day_ms)
        async with db.writing() as transaction:
            await store_margin.put(transaction, day_ms, sums)
    return len(days)


async def _summed(db: Database, book: PriceBook, day_ms: int) -> dict[MarginKey, Margin]:
    """A day's, from its records; others run between batches of them."""
    sums: dict[MarginKey, Margin] = {}
    batch: list[CallRecord] = []
    async for record in usage.calls(db, CallFilter(None, day_ms, day_ms + DAY_MS)):
        batch.append(record)
        if len(batch) == _BATCH:
            add(sums, batch, book)
            batch.clear()
    add(sums, batch, book)
    return sums


async def read(
    db: Database, book: PriceBook, since_ms: int, now_ms: int,
    today_calls_max: int = TODAY_CALLS_MAX,
) -> Reading:
    """The days from `since_ms` on, today with them where that is little work."""
    today = day_of(now_ms)
    async with db.reading() as transaction:
        sums = await store_margin.listing(transaction, since_ms, today)
        calls = await store_margin.calls(transaction, today, today + DAY_MS)
    if calls > today_calls_max:
        return Reading(sums, today)
    return Reading({**sums, **await _summed(db, book, today)}, today + DAY_MS)


def by(sums: Mapping[MarginKey, Margin], name: str) -> dict[tuple[str, str], Margin]:
    """Added up by (`model`, `provider` or `day_ms` as text, currency): most revenue first, days by
    time."""
    found: dict[tuple[str, str], Margin] = {}
    for key, margin in sums.items():
        where = str(getattr(key, name)), key.currency
        found[where] = found.get(where, Margin()).plus(margin)
    if name == "day_ms":
        return dict(sorted(found.items(), key=lambda item: (-int(item[0][0]), item[0][1])))
    return dict(sorted(found.items(), key=lambda item: (-item[1].revenue_nano, item[0])))
