"""The job of erasures: what is due is carried out, whatever happens to another."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import pytest

from relayd.control import account, erasure, lawful, mail
from relayd.control.erasure import Means, Wish, linked
from relayd.control.lawful import Entry, Hand
from relayd.control.ticket import Writing, open_ticket
from relayd.core.actor import SHELL
from relayd.core.erasure import COOLING_MS, Erasure
from relayd.core.errors import RelayError
from relayd.core.retention import Terms
from relayd.jobs.erasure import Erasures
from relayd.ops.logging import Logger
from relayd.store.db import Database
from relayd.store.directory import StoreError
from relayd.store.parcel import recipient
from relayd.store.signing import Signer
from tests.fakes.records import START_MS


class Clock:
    """Stands where the test puts it."""

    ms = START_MS

    def __call__(self) -> int:
        return self.ms


async def not_believed(now_ms: int) -> bool:
    return False


async def test_nobody_is_erased_for_a_clock_that_is_not_believed(db: Database) -> None:
    clock, who = Clock(), await asked(db, "one")
    made = Erasures(db, Signer(bytes(32)), Terms, lambda: linked("https://c.example"),
                    now_ms=clock, believed=not_believed)
    clock.ms = START_MS + 365 * COOLING_MS
    assert await made.look() == 0 == made.failures
    assert (await account.find(db, who)).state == "closing"


def job(db: Database, clock: Clock, **more: Any) -> tuple[Erasures, io.StringIO]:
    lines = io.StringIO()
    return Erasures(db, Signer(bytes(32)), Terms, lambda: linked("https://c.example"),
                    now_ms=clock, log=Logger(stream=lines), **more), lines


async def asked(db: Database, name: str) -> str:
    made = await account.create(db, f"{name}@example.org", None, START_MS)
    await erasure.ask(db, SHELL, made.id, Wish(), START_MS)
    return made.id


async def test_Y2_what_is_due_is_erased(db: Database) -> None:
    clock, who = Clock(), await asked(db, "one")
    made, lines = job(db, clock)
    clock.ms = START_MS + COOLING_MS - 1
    assert await made.look() == 0
    clock.ms += 1
    assert await made.look() == 1
    assert (await account.find(db, who)).state == "erased"
    assert await made.look() == 0
    # said once, where there was something to be said
    assert '"erased","account_count":1' in lines.getvalue() and "one@" not in lines.getvalue()
    assert lines.getvalue().count('"event":"erased"') == 1


async def test_owners_are_told_of_requests_once_they_may_know(db: Database) -> None:
    clock, made = Clock(), await account.create(db, "one@example.org", None, START_MS)
    request = await lawful.enter(db, Hand(SHELL, "x", "ann"), Entry(
        made.id, "court_order", "c", "r", "ab" * 32, ("profile",), 0, START_MS, "x",
        gag_until_ms=START_MS + 9), Terms(), START_MS)
    await lawful.approve(db, Hand(SHELL, "x", "bob"), request.id, START_MS)
    await lawful.produce(
        db, Hand(SHELL, "x", "ann"), request.id, recipient(None, "a long passphrase"), START_MS)
    work, _ = job(db, clock)
    for clock.ms, letters in ((START_MS + 8, []), (START_MS + 9, ["lawful_request"])):
        await work.look()
        assert [each.kind for each in await mail.listing(db)] == letters


async def test_one_that_fails_keeps_no_other(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, first, second = Clock(), await asked(db, "one"), await asked(db, "two")
    made, lines = job(db, clock)
    clock.ms += COOLING_MS
    erase = erasure.erase

    async def fails(db: Database, means: Means, due: Erasure, now_ms: int) -> object:
        if due.account == first:
            raise RelayError("erasure_state") if not made.failures else StoreError("store_busy")
        return await erase(db, means, due, now_ms)

    with monkeypatch.context() as patch:
        patch.setattr(erasure, "erase", fails)
        assert await made.look() == 1
        assert await made.look() == 0
    assert made.failures == 2 and "erasure_failed" in lines.getvalue()
    assert (await account.find(db, second)).state == "erased"
    assert await made.look() == 1


async def test_X1_late_tickets_are_counted(db: Database) -> None:
    clock = Clock()
    made, _ = job(db, clock)
    await open_ticket(db, Writing("minor", "s", "b", contact="a@b.example"), START_MS)
    clock.ms += 86_400_001
    await made.look()
    assert made.overdue["minor"] == 1 and made.overdue["question"] == 0


async def test_it_runs_until_it_is_stopped(db: Database) -> None:
    clock, who = Clock(), await asked(db, "one")
    clock.ms += COOLING_MS
    made, _ = job(db, clock, first_seconds=0.01, every_seconds=0.01)
    running = asyncio.get_running_loop().create_task(made.run())
    async with asyncio.timeout(10):
        while (await account.find(db, who)).state != "erased":
            await asyncio.sleep(0.01)
    await made.stop()
    await running
