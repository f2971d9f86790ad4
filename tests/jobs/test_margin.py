"""The job sums up what is over, and takes up again what failed."""

from __future__ import annotations

import asyncio
import io

import pytest

from relayd.control import margin, usage
from relayd.core.price import NO_PRICES
from relayd.core.timestamp import DAY_MS
from relayd.jobs.margin import Margins
from relayd.ops.logging import Logger
from relayd.store.db import Database
from tests.fakes.records import START_MS, call_record


def job(db: Database, said: io.StringIO | None = None) -> Margins:
    return Margins(db, lambda: NO_PRICES, every_seconds=0.01,
                   now_ms=lambda: START_MS + 5 * DAY_MS, log=Logger("info", said))


async def test_days_that_are_over_are_summed(db: Database) -> None:
    work = job(db)
    running = asyncio.create_task(work.run())
    await usage.post(db, [call_record(amount_nano=5)])
    async with asyncio.timeout(5):
        while not (await margin.read(db, NO_PRICES, START_MS, START_MS + 5 * DAY_MS)).sums:
            await asyncio.sleep(0.01)
    await work.stop()
    await running


async def test_a_store_that_fails_is_asked_again(db: Database) -> None:
    said = io.StringIO()
    work = job(db, said)
    db._closed = True
    await work.look()
    assert work.failures == 1 and "margins_failed" in said.getvalue()
    db._closed = False
    await work.look()
    assert work.failures == 1


async def test_it_goes_on_until_all_is_summed_or_it_is_stopped(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = 5

    async def settle(*_: object) -> int:
        nonlocal left
        left -= 1
        if left == stops_at:
            await work.stop()
        return left

    monkeypatch.setattr(margin, "settle", settle)
    work, stops_at = job(db), 2
    await work.look()
    assert left == 2
    work, stops_at = job(db), -1
    await work.look()
    assert left == 0
