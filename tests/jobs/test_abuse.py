"""The job of the rules against abuse."""

from __future__ import annotations

import asyncio
import io
import json
from dataclasses import replace

from relayd.control import abuse as control_abuse
from relayd.control import account
from relayd.control.abuse import Lookout
from relayd.core.abuse import AbuseRules
from relayd.jobs.abuse import Abuse
from relayd.ops.logging import Logger
from relayd.store.db import Database
from tests.fakes.records import START_MS

LOOKOUT = Lookout(AbuseRules(), {}, lambda email: True, "https://console.example")


async def test_it_looks_until_it_is_stopped(db: Database) -> None:
    await account.create(db, "a@example.org", None, START_MS)
    out = io.StringIO()
    job = Abuse(db, lambda _: LOOKOUT, every_seconds=0.01, now_ms=lambda: START_MS,
                log=Logger("info", out))
    task = asyncio.create_task(job.run())
    async with asyncio.timeout(5):
        while not await control_abuse.listing(db):
            await asyncio.sleep(0.01)
    await job.stop()
    await asyncio.wait_for(task, 5)
    line = json.loads(out.getvalue())
    assert (line["event"], line["reason"], line["state"]) == (
        "abuse_found", "disposable_mail", "noted")
    assert len(await control_abuse.listing(db)) == 1


async def test_a_store_that_fails_is_told_and_tried_again(db: Database) -> None:
    out = io.StringIO()
    job = Abuse(db, lambda _: LOOKOUT, log=Logger("info", out))
    await db.close()
    await job.look()
    said = json.loads(out.getvalue())
    assert job.failures == 1
    assert (said["event"], said["code"]) == ("abuse_failed", "store_failed")


async def test_who_is_suspended_is_told_apart(db: Database) -> None:
    await account.create(db, "a@example.org", None, START_MS)
    out = io.StringIO()
    strict = replace(LOOKOUT, rules=AbuseRules(suspend=("disposable_mail",)))
    job = Abuse(db, lambda _: strict, now_ms=lambda: START_MS, log=Logger("info", out))
    await job.look()
    assert json.loads(out.getvalue())["state"] == "suspended"
