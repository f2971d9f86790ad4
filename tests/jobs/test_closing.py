"""Months close by themselves: when it is time, once, whoever else is at it."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import pytest

from relayd.control import account, audit, closing, invoice, usage
from relayd.control.invoice import Seller
from relayd.core.invoice import ClosedMonth, month, month_text
from relayd.core.operator import Operator
from relayd.jobs import closing as jobs_closing
from relayd.jobs.closing import Months
from relayd.ops.logging import Logger
from relayd.store import invoice as store_invoice
from relayd.store.db import Database, open_database
from relayd.store.directory import StoreError
from relayd.store.invoice import InvoiceFilter
from tests.fakes.records import call_record

MONTH = month("2026-10")
GRACE = 24
DUE_MS = MONTH.end_ms + GRACE * 3_600_000
SELLER = Seller(Operator(name="Example Ltd"))


class Clock:
    """A clock that a test moves."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms


def job(
    db: Database, now_ms: Clock, hours: int = GRACE, said: io.StringIO | None = None
) -> Months:
    return Months(db, lambda: (hours, SELLER), every_seconds=0.01, now_ms=now_ms,
                  log=Logger("info", said))


async def people(db: Database, count: int, start_ms: int = MONTH.start_ms) -> list[str]:
    """Accounts with a call each in the month that starts then."""
    who = [(await account.create(db, f"p{number}@example.org", None, start_ms)).id
           for number in range(count)]
    await called(db, who, start_ms)
    return who


async def called(db: Database, who: list[str], start_ms: int, name: str = "a") -> None:
    await usage.post(db, [call_record(
        id=f"req_{month_text(start_ms)}_{name}_{number}", account=one, amount_nano=number + 1,
        started_at_ms=start_ms + 5) for number, one in enumerate(who)])


async def events(db: Database) -> list[tuple[str, str]]:
    return [(entry.event.via, entry.event.details) async for entry in audit.listing(db)
            if entry.event.action == "month.close"]


async def sequences(db: Database) -> list[int]:
    return sorted(each.sequence for each in await invoice.listing(db, InvoiceFilter()))


async def test_a_month_is_closed_when_its_grace_is_over_and_not_before(db: Database) -> None:
    await people(db, 3)
    clock, said = Clock(DUE_MS - 1), io.StringIO()
    work = job(db, clock, said=said)
    await work.look()
    assert await sequences(db) == []
    assert MONTH.start_ms not in [each.start_ms for each in await closing.months(db)]
    clock.now_ms = DUE_MS
    await work.look()
    assert (await sequences(db), work.overdue, work.failures) == ([1, 2, 3], 0, 0)
    assert (await closing.months(db))[0] == ClosedMonth(MONTH.start_ms, DUE_MS, 3, 0)
    assert ("system", '{"invoices":3,"month":"2026-10","receipts":0}') in await events(db)
    assert '"month_closed","count":3' in said.getvalue()


async def test_no_month_is_closed_for_a_clock_that_is_not_believed(db: Database) -> None:
    async def not_believed(now_ms: int) -> bool:
        return False

    await people(db, 3)
    work = Months(db, lambda: (GRACE, SELLER), believed=not_believed,
                  now_ms=lambda: DUE_MS + 400 * 86_400_000)
    await work.look()
    assert await sequences(db) == [] == await closing.months(db) and work.overdue == 0


async def test_looking_again_and_starting_again_issue_nothing(db: Database) -> None:
    await people(db, 3)
    clock = Clock(DUE_MS)
    for later_ms in (0, 1, 86_400_000, 20 * 86_400_000):
        clock.now_ms = DUE_MS + later_ms
        await job(db, clock).look()
    assert await sequences(db) == [1, 2, 3] and len(await events(db)) == 1


async def test_off_means_off(db: Database) -> None:
    await people(db, 1)
    work = job(db, Clock(DUE_MS), hours=0)
    work.overdue = 3  # as it was before a reload
    await work.look()
    assert (await sequences(db), work.overdue) == ([], 0)


async def test_months_that_nobody_closed_while_it_was_down_are_caught_up(db: Database) -> None:
    who = await people(db, 2)
    clock = Clock(DUE_MS)
    await job(db, clock).look()
    november = month("2026-11")
    await called(db, who, november.start_ms)
    await called(db, who, month("2026-12").start_ms)
    clock.now_ms = month("2027-01").start_ms + 40 * 86_400_000
    await job(db, clock).look()
    assert [month_text(each.start_ms) for each in await closing.months(db)] == [
        "2027-01", "2026-12", "2026-11", "2026-10"]
    found = await invoice.listing(db, InvoiceFilter())
    assert sorted(month_text(each.period.start_ms) for each in found) == [
        "2026-10", "2026-10", "2026-11", "2026-11", "2026-12", "2026-12"]


async def test_before_the_first_month_nothing_is_guessed(db: Database) -> None:
    await people(db, 1, month("2026-08").start_ms)
    await job(db, Clock(DUE_MS)).look()
    assert await sequences(db) == []


async def test_what_came_late_is_said_with_the_next_month(db: Database) -> None:
    who = await people(db, 2)
    clock = Clock(DUE_MS)
    await job(db, clock).look()
    await called(db, who[:1], MONTH.start_ms, "late")
    await job(db, clock).look()
    assert await sequences(db) == [1, 2]
    clock.now_ms = month("2026-11").end_ms + GRACE * 3_600_000
    await job(db, clock).look()
    assert await sequences(db) == [1, 2, 3]
    assert [each.invoices for each in await closing.months(db)] == [0, 3]


async def test_two_processes_close_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "AT_ONCE", 3)
    monkeypatch.setattr(jobs_closing, "PAUSE_SECONDS", 0.001)
    one, two = await open_database(tmp_path), await open_database(tmp_path)
    await people(one, 40)
    works = [job(one, Clock(DUE_MS)), job(two, Clock(DUE_MS + 1))]
    await asyncio.gather(*(work.look() for work in works))
    assert [work.failures for work in works] == [0, 0] == [work.overdue for work in works]
    assert await sequences(one) == list(range(1, 41))
    found = await invoice.listing(one, InvoiceFilter())
    assert len({each.account for each in found}) == 40
    [has] = await closing.months(two)
    assert has.invoices == 40
    assert '{"invoices":40,"month":"2026-10","receipts":0}' in {
        details for _, details in await events(two)}
    await one.close()
    await two.close()


async def test_a_process_that_stops_leaves_the_rest_to_the_next(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "AT_ONCE", 2)
    await people(db, 7)
    first = job(db, Clock(DUE_MS))
    running = asyncio.create_task(first.run())
    try:
        async with asyncio.timeout(5):
            while not await sequences(db):
                await asyncio.sleep(0.001)
    finally:
        await first.stop()
        await running
    issued = len(await sequences(db))
    assert 0 < issued < 7 and first.overdue == 1 and await events(db) == []
    # months later, it is the oldest that was begun, not only the last one
    later = Clock(month("2026-12").end_ms - 1)
    await job(db, later).look()
    assert await sequences(db) == list(range(1, 8))
    assert [each.invoices for each in await closing.months(db)] == [0, 7]
    assert '{"invoices":7,"month":"2026-10","receipts":0}' in {
        details for _, details in await events(db)}


async def test_a_failure_is_counted_and_overdue_until_it_works(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await people(db, 2)
    said = io.StringIO()
    work = job(db, Clock(DUE_MS), said=said)
    real = store_invoice.insert

    async def failing(*_: object) -> None:
        raise StoreError("store_failed")

    monkeypatch.setattr(store_invoice, "insert", failing)
    await work.look()
    assert (work.failures, work.overdue) == (1, 1) and "closing_failed" in said.getvalue()
    assert await sequences(db) == []
    monkeypatch.setattr(store_invoice, "insert", real)
    await work.look()
    assert (work.failures, work.overdue) == (1, 0) and await sequences(db) == [1, 2]
