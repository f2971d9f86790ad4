"""Documents follow the configuration by themselves, or wait for a person."""

from __future__ import annotations

import asyncio
import io
import json
from dataclasses import replace

from relayd.console.document import cookie_words
from relayd.control import account, consent, document, key
from relayd.control.document_text import drafts
from relayd.control.key import KeyWish
from relayd.control.publish import load, policy_version
from relayd.core.actor import Actor
from relayd.core.operator import Hosting, Operator
from relayd.jobs.document import Documents
from relayd.ops.config import Config
from relayd.ops.logging import Logger
from relayd.store.db import Database
from tests.fakes.editions import publish
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


async def test_G2_the_relay_is_told_when_a_version_takes_effect(db: Database) -> None:
    now_ms = START_MS
    job = Documents(db, lambda: drafts(Config({}, ()), cookie_words()), now_ms=lambda: now_ms)
    await job.look()
    who = (await account.create(db, "ann@example.org", None, START_MS)).id
    await key.create(db, who, KeyWish("k"), START_MS)
    await consent.agree(db, Actor(who), who, ["overseas_routes"], ("en", "console"), START_MS)
    await publish(db, version=2, gate="console", items=("overseas_routes",),
                  effective_at_ms=START_MS + 10)

    async def may_go_abroad() -> bool:
        [grant] = (await load(db, now_ms)).keys.values()
        return grant.overseas

    before = await policy_version(db)
    await job.look()
    assert await policy_version(db) == before and await may_go_abroad()
    now_ms = START_MS + 10
    await job.look()
    assert await policy_version(db) == before + 1 and not await may_go_abroad()
    await job.look()
    assert await policy_version(db) == before + 1
    await consent.agree(db, Actor(who), who, ["overseas_routes"], ("en", "console"), now_ms)
    assert await policy_version(db) == before + 2 and await may_go_abroad()


async def test_G2_the_relay_names_the_policy_from_the_moment_it_is_in_force(db: Database) -> None:
    now_ms = START_MS
    job = Documents(db, lambda: drafts(Config({}, ()), cookie_words()), now_ms=lambda: now_ms)
    assert (await load(db, now_ms)).edition == 0
    await job.look()
    assert (await load(db, now_ms)).edition == 1
    version = await policy_version(db)
    await publish(db, "privacy", version=2, effective_at_ms=START_MS + 10)
    await publish(db, "terms", version=2, effective_at_ms=START_MS)
    await job.look()
    assert await policy_version(db) == version and (await load(db, now_ms)).edition == 1
    now_ms = START_MS + 10
    await job.look()
    assert await policy_version(db) == version + 1 and (await load(db, now_ms)).edition == 2


async def test_it_runs_until_it_is_stopped(db: Database) -> None:
    job = Documents(db, lambda: drafts(Config({}, ()), cookie_words()), every_seconds=0.01)
    running = asyncio.ensure_future(job.run())
    async with asyncio.timeout(5):
        while not await numbers(db):
            await asyncio.sleep(0.01)
        await job.stop()
        await running


async def test_it_looks_again_where_the_configuration_is_another(db: Database) -> None:
    made = 0

    def draw() -> dict[str, dict[str, str]]:
        nonlocal made
        made += 1
        return drafts(config, cookie_words())

    config = Config({}, ())
    job = Documents(db, draw, made_of=lambda: config, every_seconds=0.01)
    running = asyncio.ensure_future(job.run())
    async with asyncio.timeout(5):
        while not await numbers(db):
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.3)
    before = made
    await asyncio.sleep(0.3)
    assert made == before
    config = replace(config, operator=Operator(hosting=Hosting("Cloud")))
    async with asyncio.timeout(5):
        while (await numbers(db))["hosting"] != 2:
            await asyncio.sleep(0.01)
    await job.stop()
    await running


async def test_a_store_that_fails_is_told_and_asked_again(db: Database) -> None:
    said = io.StringIO()
    text = drafts(Config({}, ()), cookie_words())
    job = Documents(db, lambda: text, now_ms=lambda: START_MS, log=Logger("info", said))

    async def rename(old: str, new: str) -> None:
        async with db.writing() as transaction:
            await transaction.run(f"ALTER TABLE {old} RENAME TO {new}")

    for _ in range(2):  # also where the texts are those of before
        await rename("documents", "away")
        for _ in range(2):
            await job.look()
        assert job._is_due()
        await rename("away", "documents")
        assert job._is_due()
        for _ in range(2):  # what it published is news as well
            if job._is_due():
                await job.look()
        assert not job._is_due()
        events = [json.loads(line) for line in said.getvalue().splitlines()]
        assert [(each["event"], each.get("code")) for each in events] == [
            ("documents_failed", "store_failed"), ("documents_work_again", None)]
        assert set((await numbers(db)).values()) == {1}


async def test_what_waits_is_said_when_it_begins_to(db: Database) -> None:
    said = io.StringIO()
    text = drafts(Config({}, ()), cookie_words())
    job = Documents(db, lambda: text, now_ms=lambda: START_MS, log=Logger("info", said))
    await job.look()
    text = drafts(Config({}, (), operator=Operator(name="Other Ltd")), cookie_words())
    for _ in range(3):
        await job.look()
    assert said.getvalue().count('"document_differs"') == 2
