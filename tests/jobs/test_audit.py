"""The job of the audit log: it signs what is due, prunes what is over, and says so."""

from __future__ import annotations

import asyncio
import io
import json

from relayd.control import audit, checkpoint
from relayd.core.actor import SHELL
from relayd.jobs.audit import Audit
from relayd.ops.logging import Logger
from relayd.store.db import Database
from relayd.store.signing import open_signer
from tests.fakes.records import START_MS

HOUR_MS = 3_600_000


async def add(db: Database, at_ms: int) -> None:
    async with db.writing() as transaction:
        await audit.append(transaction, SHELL, "key.revoke", "acct_1", at_ms)


async def test_it_signs_and_prunes_as_time_passes(db: Database) -> None:
    now, out = [START_MS], io.StringIO()
    signer = open_signer(db.directory)
    job = Audit(db, signer, lambda now_ms: now_ms - 24 * HOUR_MS, now_ms=lambda: now[0],
                log=Logger("info", out))
    await add(db, START_MS)
    await job.look()
    assert out.getvalue() == ""
    now[0] += HOUR_MS
    await job.look()
    await job.look()
    line = json.loads(out.getvalue())
    verdict = await checkpoint.verify(db, {signer.public})
    assert (line["event"], line["count"], line["sha256"]) == (
        "audit_checkpoint", 2, verdict.hash.hex())
    now[0] += 24 * HOUR_MS + 1
    await add(db, now[0])
    await job.look()
    said = json.loads(out.getvalue().splitlines()[1])
    assert (said["event"], said["records"]) == ("audit_pruned", 2)
    verdict = await checkpoint.verify(db, {signer.public}, (2, verdict.hash))
    assert (verdict.broken, verdict.first_seq, verdict.unsigned) == (None, 3, 0)


async def test_nothing_is_pruned_for_a_clock_that_is_not_believed(db: Database) -> None:
    async def not_believed(now_ms: int) -> bool:
        return False

    now, out = [START_MS], io.StringIO()
    job = Audit(db, open_signer(db.directory), lambda now_ms: now_ms - 24 * HOUR_MS,
                now_ms=lambda: now[0], believed=not_believed, log=Logger("info", out))
    await add(db, START_MS)
    await job.look()
    for _ in range(3):  # what was signed is over by the next
        now[0] += 365 * 24 * HOUR_MS
        await job.look()
    # what is signed is not the clock's to take away
    assert "audit_checkpoint" in out.getvalue() and "audit_pruned" not in out.getvalue()
    verdict = await checkpoint.verify(db, {open_signer(db.directory).public})
    assert verdict.first_seq == 1 and verdict.broken is None


async def test_it_runs_until_it_is_stopped(db: Database) -> None:
    await add(db, START_MS)
    job = Audit(db, open_signer(db.directory), lambda _: 0, every_seconds=0.01)
    task = asyncio.create_task(job.run())
    async with asyncio.timeout(5):
        while not await signed(db):
            await asyncio.sleep(0.01)
    await job.stop()
    await asyncio.wait_for(task, 5)


async def signed(db: Database) -> int:
    return (await checkpoint.verify(db, {open_signer(db.directory).public})).checkpoints


async def test_a_store_that_fails_is_told_and_tried_again(db: Database) -> None:
    out = io.StringIO()
    job = Audit(db, open_signer(db.directory), lambda _: 0, log=Logger("info", out))
    await db.close()
    await job.look()
    assert job.failures == 1
    said = json.loads(out.getvalue())
    assert (said["event"], said["code"]) == ("audit_failed", "store_failed")
