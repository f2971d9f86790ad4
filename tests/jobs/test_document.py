"""Documents follow the configuration by themselves, or wait for a person."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace

from relayd.console.document import cookie_words
from relayd.control import document
from relayd.control.document_text import drafts
from relayd.core.operator import Hosting, Operator
from relayd.jobs.document import Documents
from relayd.ops.config import Config
from relayd.ops.logging import Logger
from relayd.store.db import Database
from tests.fakes.records import START_MS


async def numbers(db: Database) -> dict[str, int]:
    return {each.name: each.version for each in reversed(await document.listing(db, "en"))}


async def test_facts_follow_and_policies_wait(db: Database) -> None:
    config, log = Config({}, ()), io.StringIO()
    job = Documents(db, lambda: drafts(config, cookie_words()), now_ms=lambda: START_MS,
                    log=Logger("info", log))
    await job.look()
    assert set((await numbers(db)).values()) == {1} and job.waiting == []
    # another place alone is a fact
    config = replace(config, operator=Operator(hosting=Hosting("Cloud")))
    await job.look()
    await job.look()
    assert (await numbers(db))["hosting"] == 2 and job.waiting == []
    # another operator is in the policy and the terms
    config = replace(config, operator=Operator(name="Other Ltd"))
    await job.look()
    assert job.waiting == ["privacy", "terms"] and (await numbers(db))["privacy"] == 1
    assert log.getvalue().count('"document_differs"') == 2
    assert '"part":"privacy"' in log.getvalue()


async def test_it_runs_until_it_is_stopped(db: Database) -> None:
    job = Documents(db, lambda: drafts(Config({}, ()), cookie_words()), every_seconds=0.01)
    running = asyncio.ensure_future(job.run())
    async with asyncio.timeout(5):
        while not await numbers(db):
            await asyncio.sleep(0.01)
        await job.stop()
        await running
