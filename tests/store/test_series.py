"""Steps begin where the period's do; each has its own currency and name."""

from __future__ import annotations

from collections import Counter
from itertools import product
from random import Random

from relayd.core.columns import in_parts
from relayd.core.rollup import rollups
from relayd.core.series import Period, period
from relayd.core.timestamp import DAY_MS, HOUR_MS
from relayd.store import rollup, series
from relayd.store.db import Database
from tests.fakes.records import START_MS, call_record


async def test_days_are_summed_by_column_and_currency(db: Database) -> None:
    records = [
        call_record(started_at_ms=START_MS + 23 * HOUR_MS, model="a"),
        call_record(started_at_ms=START_MS + 5, model="a"),
        call_record(started_at_ms=START_MS + 6, model=None),
        call_record(started_at_ms=START_MS + 7, model="a", currency="CNY"),
        call_record(started_at_ms=START_MS + DAY_MS, model="a"),
    ]
    async with db.writing() as transaction:
        await rollup.add(transaction, rollups(in_parts(records)))
    wanted = period("7d", START_MS + DAY_MS)
    async with db.reading() as transaction:
        found = await series.points(transaction, "acct_1", wanted, "model")
    assert [(point.at_ms, point.name, point.currency, point.sums.calls) for point in found] == [
        (START_MS, "", "USD", 1), (START_MS, "a", "CNY", 1), (START_MS, "a", "USD", 2),
        (START_MS + DAY_MS, "a", "USD", 1)]


async def test_a_series_is_of_one_account_and_of_its_period(db: Database) -> None:
    dice = Random(3)
    records = [call_record(
        started_at_ms=START_MS + dice.randrange(12) * HOUR_MS, account=dice.choice("ab"),
        key=dice.choice(("key_1", "key_2")), provider=dice.choice(("p", "q", None)),
        model=dice.choice(("m", None)), currency=dice.choice(("USD", "CNY")))
        for _ in range(120)]
    async with db.writing() as transaction:
        await rollup.add(transaction, rollups(in_parts(records)))
    columns: list[tuple[series.Column | None, str]] = [
        (None, ""), ("model", "model"), ("key_id", "key"), ("provider", "provider")]
    async with db.reading() as transaction:
        for since, until, step in ((0, 12, 1), (2, 8, 2), (3, 9, 3), (11, 12, 1), (12, 13, 1)):
            wanted = Period(START_MS + since * HOUR_MS, START_MS + until * HOUR_MS, step * HOUR_MS)
            for account, (column, name) in product("abc", columns):
                counted = Counter(
                    (each.started_at_ms - each.started_at_ms % wanted.step_ms,
                     (getattr(each, name) or "") if name else "", each.currency)
                    for each in records if each.account == account
                    and wanted.since_ms <= each.started_at_ms < wanted.until_ms)
                found = await series.points(transaction, account, wanted, column)
                assert [(*point[:3], point.sums.calls) for point in found] == sorted(
                    (*key, calls) for key, calls in counted.items())
