"""The job of self-assessments: once a week, kept, in figures; again where the store failed."""

from __future__ import annotations

import asyncio
import io
import json

import pytest

from relayd.control import assessment
from relayd.core.assessment import EVERY_MS
from relayd.jobs.assessment import Assessments
from relayd.ops.logging import Logger
from relayd.store import canary
from relayd.store.db import Database, open_database
from relayd.store.directory import StoreError
from relayd.store.signing import open_signer
from tests.fakes.records import START_MS


async def test_D4_once_a_week_and_a_finding_is_a_figure(db: Database) -> None:
    now, out = [START_MS], io.StringIO()
    job = Assessments(db, open_signer(db.directory), lambda: None, now_ms=lambda: now[0],
                      log=Logger("info", out))
    assert (job.at_seconds(), job.findings()) == (0.0, 0)
    await job.look()
    # there is no canary report: the doctor says so, and it is no alert
    assert (job.at_seconds(), job.findings()) == (START_MS / 1000, 0)
    assert '"assessment_finding"' in out.getvalue() and '"part":"canary"' in out.getvalue()
    now[0] += EVERY_MS - 1
    await job.look()
    assert job.at_seconds() == START_MS / 1000
    now[0] += 1
    canary.write(db.directory, b'{"report": {"clean": false}}')
    await job.look()
    assert (job.at_seconds(), job.findings()) == (now[0] / 1000, 1)
    kept = await assessment.last(db)
    assert kept is not None and kept.at_ms == now[0]
    told = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [each["count"] for each in told if each["event"] == "assessment"] == [
        len([each for each in told if each["event"] == "assessment_finding"]) - 1, 1]
    # another process, or this one after a restart, knows of it before the next is due
    later = Assessments(db, open_signer(db.directory), lambda: None, now_ms=lambda: now[0] + 1)
    await later.look()
    assert (later.last, later.at_seconds(), later.findings()) == (kept, now[0] / 1000, 1)


async def test_two_processes_make_and_tell_one(db: Database) -> None:
    both = [await open_database(db.directory) for _ in range(2)]
    outs = [io.StringIO() for _ in both]
    jobs = [Assessments(each, open_signer(db.directory), lambda: None,
                        now_ms=lambda at_ms=START_MS + number: at_ms, log=Logger("info", out))
            for number, (each, out) in enumerate(zip(both, outs, strict=True))]
    await asyncio.gather(*(job.look() for job in jobs))
    async with db.reading() as transaction:
        assert await transaction.row("SELECT COUNT(DISTINCT at_ms) FROM assessments") == (1,)
    assert sum('"assessment_finding"' in out.getvalue() for out in outs) == 1
    assert jobs[0].last == jobs[1].last is not None
    for each in both:
        await each.close()


async def test_it_goes_on_after_the_store_failed(
    db: Database, monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fails(*_: object) -> None:
        raise StoreError("store_failed")

    out = io.StringIO()
    job = Assessments(db, open_signer(db.directory), lambda: None, first_seconds=0.0,
                      log=Logger("error", out))
    with monkeypatch.context() as patch:
        patch.setattr(assessment, "take", fails)
        await job.look()
        assert job.failures == 1 and job.findings() == 0
    assert '"assessment_failed","code":"store_failed"' in out.getvalue()
    running = asyncio.ensure_future(job.run())
    async with asyncio.timeout(5):
        while job.last is None:
            await asyncio.sleep(0.01)
    await job.stop()
    await running
