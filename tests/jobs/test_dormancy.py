"""The dormancy job: accounts are reminded by a moved clock; a failure is no end."""

from __future__ import annotations

import asyncio
import io

from relayd.control.door import Door
from relayd.core.timestamp import DAY_MS
from relayd.jobs.dormancy import Dormancy
from relayd.ops.logging import Logger
from tests.fakes.door import ORIGIN, mails, registered
from tests.fakes.records import START_MS


async def never(_: str, __: int) -> bool:
    return False


def job(door: Door, now_ms: int) -> Dormancy:
    return Dormancy(door.db, lambda: ORIGIN, never, now_ms=lambda: now_ms, first_seconds=0.01,
                    every_seconds=0.01)


async def test_E2_dormancy_is_looked_at_until_it_is_stopped(door: Door) -> None:
    await registered(door)
    dormancy = job(door, START_MS + 365 * DAY_MS)
    async with asyncio.timeout(5):
        running = asyncio.ensure_future(dormancy.run())
        while not (found := await mails(door.db)):
            await asyncio.sleep(0.01)
        await dormancy.stop()
        await running
    assert [kind for kind, _, _ in found] == ["dormancy_reminder"] and dormancy.failures == 0


async def test_nobody_is_reminded_for_a_clock_that_is_not_believed(door: Door) -> None:
    async def not_believed(now_ms: int) -> bool:
        return False

    await registered(door)
    dormancy = Dormancy(door.db, lambda: ORIGIN, never, believed=not_believed,
                        now_ms=lambda: START_MS + 365 * DAY_MS)
    assert await dormancy.look() == {} and await mails(door.db) == []


async def test_a_store_that_fails_is_asked_again(door: Door) -> None:
    await registered(door)
    said = io.StringIO()
    dormancy = Dormancy(door.db, lambda: ORIGIN, never, log=Logger(stream=said),
                        now_ms=lambda: START_MS + 365 * DAY_MS)
    async with door.db.writing() as transaction:
        await transaction.run("ALTER TABLE rollups RENAME TO away")
    assert await dormancy.look() is None and dormancy.failures == 1
    assert '"dormancy_failed","code":"store_failed"' in said.getvalue()
    async with door.db.writing() as transaction:
        await transaction.run("ALTER TABLE away RENAME TO rollups")
    assert await dormancy.look() == {"first_reminder": 1, "last_reminder": 0, "erase": 0}
