"""Watch: a change by any process arrives within a second; a failing store changes nothing."""

from __future__ import annotations

import asyncio
import io
import time
from pathlib import Path

from relayd.control import account, key, publish
from relayd.control.key import KeyWish
from relayd.core.snapshot import Snapshot
from relayd.jobs.watch import WATCH_SECONDS, Watch
from relayd.ops.logging import Logger
from relayd.store.db import Database, open_database
from tests.fakes.records import START_MS


async def test_a_change_by_another_process_is_published_within_a_second(db: Database) -> None:
    made = await account.create(db, "ann@example.org", None, START_MS)
    published: list[Snapshot] = []
    watch = Watch(db, published.append, await publish.load(db))
    running = asyncio.get_running_loop().create_task(watch.run())
    await asyncio.sleep(2 * WATCH_SECONDS)
    assert published == []
    other = await open_database(db.directory)
    issued = await key.create(other, made.id, KeyWish("laptop"), START_MS)
    await other.close()
    start = time.monotonic()
    while not published:
        assert time.monotonic() - start < 1
        await asyncio.sleep(0.01)
    await watch.stop()
    await running
    [snapshot] = published
    assert [grant.key for grant in snapshot.keys.values()] == [issued.key.id]


async def test_the_same_policy_is_published_once(db: Database) -> None:
    published: list[Snapshot] = []
    watch = Watch(db, published.append, Snapshot(0, {}))
    for _ in range(3):
        await watch.look()
    assert [snapshot.version for snapshot in published] == [1]


async def test_a_store_that_fails_is_tried_again(tmp_path: Path) -> None:
    db = await open_database(tmp_path / "store")
    published: list[Snapshot] = []
    said = io.StringIO()
    watch = Watch(db, published.append, Snapshot(0, {}), log=Logger(stream=said))
    async with db.writing() as transaction:
        await transaction.run("ALTER TABLE counters RENAME TO gone")
    for _ in range(2):
        await watch.look()
    assert published == []
    assert said.getvalue().count('"policy_unreadable","code":"store_failed","count":1') == 1
    async with db.writing() as transaction:
        await transaction.run("ALTER TABLE gone RENAME TO counters")
    await watch.look()
    assert len(published) == 1
    await db.close()


async def test_it_looks_soon_when_it_is_poked(db: Database) -> None:
    seen: list[Snapshot] = []
    watch = Watch(db, seen.append, await publish.load(db), watch_seconds=60.0)
    running = asyncio.create_task(watch.run())
    made = await account.create(db, "ann@example.org", None, START_MS)
    await key.create(db, made.id, KeyWish("x"), START_MS)
    watch.poke()
    async with asyncio.timeout(5):
        while not seen:
            await asyncio.sleep(0.01)
    assert len(seen[-1].keys) == 1
    await watch.stop()
    await asyncio.wait_for(running, 5)


async def test_it_looks_where_the_store_was_written_or_could_not_be_read(db: Database) -> None:
    looks = 0

    class Counted(Watch):
        async def look(self) -> None:
            nonlocal looks
            looks += 1
            await super().look()

    watch = Counted(db, lambda _: None, Snapshot(0, {}), watch_seconds=0.01)
    running = asyncio.create_task(watch.run())

    async def looks_in(seconds: float) -> int:
        before = looks
        await asyncio.sleep(seconds)
        return looks - before

    await looks_in(0.2)
    assert await looks_in(0.3) == 0
    async with db.writing() as transaction:
        await transaction.run("ALTER TABLE counters RENAME TO gone")
    assert await looks_in(0.3) > 2
    async with db.writing() as transaction:
        await transaction.run("ALTER TABLE gone RENAME TO counters")
    assert await looks_in(0.3) > 0
    assert await looks_in(0.3) == 0
    await watch.stop()
    await running


async def test_a_key_that_is_revoked_ends_also_while_somebody_reads_the_whole_store(
    db: Database,
) -> None:
    made = await account.create(db, "ann@example.org", None, START_MS)
    issued = await key.create(db, made.id, KeyWish("laptop"), START_MS)
    published: list[Snapshot] = []
    watch = Watch(db, published.append, await publish.load(db))
    async with db.reading():
        await key.revoke(db, issued.key.id, START_MS)
        await asyncio.wait_for(watch.look(), 5)
    [snapshot] = published
    assert snapshot.keys == {}
