"""The database: durable, private, one writer at a time, nothing half done."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path
from time import monotonic

import pytest

from relayd.store.db import FILE_NAME, Database, open_database
from relayd.store.directory import StoreError

NOTE = "INSERT INTO meta (name, value) VALUES (?, '')"
NOTES = "SELECT name FROM meta WHERE name LIKE 'n%' ORDER BY name"


async def notes(db: Database) -> list[str]:
    async with db.reading() as transaction:
        return [row[0] for row in await transaction.rows(NOTES)]


async def test_the_store_is_private(db: Database) -> None:
    async with db.writing() as transaction:
        await transaction.run(NOTE, ("n1",))
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in db.directory.iterdir()}
    assert modes == {name: 0o600 for name in
                     (FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm", "secret", "master.key",
                      "keys.db", "keys.db-wal", "keys.db-shm")}
    assert stat.S_IMODE(db.directory.stat().st_mode) == 0o700


@pytest.mark.parametrize("pragma, value", [
    ("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("secure_delete", 1),
    ("wal_autocheckpoint", 0), ("temp_store", 2), ("trusted_schema", 0), ("busy_timeout", 100),
])
async def test_every_connection_is_set_up(db: Database, pragma: str, value: object) -> None:
    async with db.writing() as transaction:
        assert await transaction.row(f"PRAGMA {pragma}") == (value,)
    async with db.reading() as transaction:
        assert await transaction.row(f"PRAGMA {pragma}") == (value,)


async def test_reading_cannot_write(db: Database) -> None:
    with pytest.raises(StoreError):
        async with db.reading() as transaction:
            await transaction.run(NOTE, ("n1",))


async def test_a_block_that_fails_leaves_nothing(db: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with db.writing() as transaction:
            await transaction.run(NOTE, ("n1",))
            raise ZeroDivisionError
    async with db.writing() as transaction:
        await transaction.run(NOTE, ("n2",))
    assert await notes(db) == ["n2"]


@pytest.mark.parametrize("begin_now", [True, False])
async def test_cancelling_at_any_point_leaves_all_or_nothing(
    db: Database, begin_now: bool
) -> None:
    """Cancelled after k turns of the loop, for every k up to the end of the transaction."""

    async def work(name: str) -> None:
        async with db.writing(begin_now=begin_now) as transaction:
            await transaction.run(NOTE, (name + "a",))
            transaction.later(NOTE, [(name + "b",)])

    done = 0
    for turn in range(400):
        task = asyncio.get_running_loop().create_task(work(f"n{turn:03}"))
        for _ in range(turn % 40):
            await asyncio.sleep(0.0001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        done += not task.cancelled()
        if done > 20:
            break
    names = await notes(db)
    assert done and len(names) >= 2 * done
    assert all(name[:-1] + "a" in names and name[:-1] + "b" in names for name in names)


async def test_a_transaction_may_begin_with_its_first_statement(db: Database) -> None:
    other = sqlite3.connect(db.directory / FILE_NAME, isolation_level=None, timeout=0)
    async with db.writing(begin_now=False) as transaction:
        other.execute(NOTE, ("n1",))
        assert len(await transaction.rows("SELECT 1 FROM meta WHERE name = 'n1'")) == 1
        with pytest.raises(sqlite3.OperationalError):
            other.execute(NOTE, ("n2",))
    other.execute(NOTE, ("n3",))
    other.close()
    assert await notes(db) == ["n1", "n3"]


async def test_writers_wait_for_each_other(db: Database) -> None:
    async def add() -> None:
        async with db.writing() as transaction:
            row = await transaction.row("SELECT COUNT(*) FROM meta WHERE name LIKE 'n%'")
            await asyncio.sleep(0)
            await transaction.run(NOTE, (f"n{row[0] if row else '?'}",))

    await asyncio.gather(*(add() for _ in range(20)))
    assert len(await notes(db)) == 20


async def test_a_reader_sees_one_state(db: Database) -> None:
    async with db.reading() as transaction:
        assert await transaction.rows(NOTES) == []
        async with db.writing() as other:
            await other.run(NOTE, ("n1",))
        assert await transaction.rows(NOTES) == []
    assert await notes(db) == ["n1"]


async def test_the_relay_reads_beside_whoever_reads_for_long(db: Database) -> None:
    async with db.reading() as long:
        await long.rows(NOTES)
        async with db.writing() as transaction:
            await transaction.run(NOTE, ("n1",))
        async with asyncio.timeout(5), db.watching() as transaction:
            assert await transaction.rows(NOTES) == [("n1",)]
        assert await long.rows(NOTES) == []
    with pytest.raises(StoreError):
        async with db.watching() as transaction:
            await transaction.run(NOTE, ("n2",))


async def test_who_reads_for_long_keeps_nobody_from_reading(db: Database) -> None:
    async with db.reading_long() as long:
        assert await long.rows(NOTES) == []
        async with db.writing() as transaction:
            await transaction.run(NOTE, ("n1",))
        assert await asyncio.wait_for(notes(db), 5) == ["n1"]
        assert await long.rows(NOTES) == []
    with pytest.raises(StoreError):
        async with db.reading_long() as long:
            await long.run(NOTE, ("n2",))


async def test_a_store_held_by_another_is_busy_and_works_again(db: Database) -> None:
    other = sqlite3.connect(db.directory / FILE_NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError) as caught:
        async with db.writing():
            pass
    assert caught.value.code == "store_busy" and caught.value.kind.retryable
    assert await notes(db) == []
    other.execute("ROLLBACK")
    other.close()
    async with db.writing() as transaction:
        await transaction.run(NOTE, ("n1",))


async def test_another_process_sees_what_was_written_and_the_other_way(db: Database) -> None:
    other = await open_database(db.directory)
    async with db.writing() as transaction:
        await transaction.run(NOTE, ("n1",))
    assert await notes(other) == ["n1"]
    async with other.writing() as transaction:
        await transaction.run(NOTE, ("n2",))
    await other.close()
    assert await notes(db) == ["n1", "n2"] and other.secret == db.secret


async def test_processes_that_start_at_once_make_one_store(tmp_path: Path) -> None:
    script = (
        "import asyncio, pathlib, sys\n"
        "from relayd.store.db import open_database\n"
        "async def main():\n"
        "    db = await open_database(pathlib.Path(sys.argv[1]))\n"
        "    print(db.secret.hex())\n"
        "    await db.close()\n"
        "asyncio.run(main())\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "store")]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = [process.communicate(timeout=60)[0] for process in started]
    assert [process.returncode for process in started] == [0] * 4 and len(set(said)) == 1


async def test_a_checkpoint_empties_the_wal(db: Database) -> None:
    async with db.writing() as transaction:
        await transaction.run(NOTE, ("n1",))
    wal = db.directory / f"{FILE_NAME}-wal"
    assert wal.stat().st_size > 0
    assert not await db.checkpoint_if_large() and wal.stat().st_size > 0
    assert await db.checkpoint_if_large(0) and wal.stat().st_size == 0
    assert await notes(db) == ["n1"]


async def test_a_checkpoint_with_a_reader_in_the_way_says_so(db: Database) -> None:
    async with db.writing() as transaction:
        await transaction.run(NOTE, ("n1",))
    async with db.reading() as transaction:
        await transaction.rows(NOTES)
        async with db.writing() as other:
            await other.run(NOTE, ("n2",))
        assert not await db.checkpoint()
    assert await db.checkpoint()


async def test_a_long_reader_holds_writers_up_now_and_then_alone(db: Database) -> None:
    async with db.reading() as transaction:
        await transaction.rows(NOTES)
        tries = []
        for number in range(12):
            async with db.writing() as other:
                await other.run("INSERT INTO meta (name, value) VALUES (?, ?)",
                                (f"n{number:02}", "x" * 100_000))
            began = monotonic()
            assert not await db.checkpoint_if_large(150_000)
            tries.append(monotonic() - began >= 0.02)
        # at 200 KB, 500 KB and 1.1 MB or so: each is twice the one before, and more
        assert 0 < sum(tries) <= 3
    assert not await db.checkpoint_if_large(150_000)
    assert await db.checkpoint()
    async with db.writing() as other:
        await other.run("INSERT INTO meta (name, value) VALUES ('n99', ?)", ("x" * 200_000,))
    assert await db.checkpoint_if_large(150_000)


async def test_a_checkpoint_that_waits_fails_no_write_of_another_process(tmp_path: Path) -> None:
    first, second = [await open_database(tmp_path / "store", busy_ms=2000) for _ in range(2)]
    async with first.reading() as transaction:
        await transaction.rows(NOTES)
        async with first.writing() as other:
            await other.run(NOTE, ("n1",))
        waiting = asyncio.ensure_future(first.checkpoint())
        await asyncio.sleep(0.05)
        began = monotonic()
        async with second.writing() as other:
            await other.run(NOTE, ("n2",))
        # far from its own patience, which would be over together with that of the checkpoint
        assert monotonic() - began < 1.4 and not await waiting
    async with first.writing() as transaction:
        assert await transaction.row("PRAGMA busy_timeout") == (2000,)
    await first.close()
    await second.close()


@pytest.mark.parametrize("spoil, code", [
    (lambda store: (store / "secret").unlink(), "store_secret"),
    (lambda store: (store / "secret").write_bytes(bytes(32)), "store_secret"),
    (lambda store: (store / "secret").chmod(0o644), "store_open_to_others"),
    (lambda store: store.chmod(0o777), "store_open_to_others"),
    (lambda store: (store / FILE_NAME).write_bytes(b"junk" * 1000), "store_damaged"),
])
async def test_a_spoilt_store_is_refused(tmp_path: Path, spoil: object, code: str) -> None:
    db = await open_database(tmp_path / "store")
    await db.close()
    spoil(tmp_path / "store")  # type: ignore[operator]
    with pytest.raises(StoreError) as caught:
        await open_database(tmp_path / "store")
    assert caught.value.code == code


@pytest.mark.parametrize("name", [FILE_NAME, f"{FILE_NAME}-wal", "keys.db"])
async def test_nothing_is_written_that_the_next_start_would_not_find(
    db: Database, name: str
) -> None:
    async with db.writing() as transaction:
        await transaction.run(NOTE, ("n1",))
    there = db.directory / name
    there.rename(db.directory / "away")
    for opening in (db.writing, db.reading_long, db.watching):
        with pytest.raises(StoreError) as caught:
            async with opening():
                raise AssertionError
        assert caught.value.code == "store_moved"
    assert not there.exists()  # nobody has made another one
    assert await notes(db) == ["n1"]
    (db.directory / "away").rename(there)
    async with db.writing() as transaction:
        await transaction.run(NOTE, ("n2",))
    assert await notes(db) == ["n1", "n2"]


async def test_a_store_is_closed_also_by_who_does_not_wait(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    db = await open_database(tmp_path / "store")
    async with db.watching(), db.writing():
        pass
    with pytest.raises(ValueError):
        async with db.reading():
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await db.close()
            async with asyncio.timeout(5):
                while not before.issuperset(threading.enumerate()):
                    await asyncio.sleep(0.01)


async def test_a_closed_store_is_watched_no_more(tmp_path: Path) -> None:
    for used in (True, False):
        db = await open_database(tmp_path / "store")
        if used:
            async with db.watching() as transaction:
                await transaction.rows(NOTES)
        await db.close()
        with pytest.raises(StoreError, match="store_failed"):
            async with db.watching():
                pass


async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    db = await open_database(tmp_path / "store")
    await db.close()
    await db.close()
    with pytest.raises(StoreError):
        async with db.writing():
            pass
    assert sorted(file.name for file in db.directory.iterdir()) == [
        "keys.db", "master.key", FILE_NAME, "secret"]


async def test_values_do_not_reach_a_log_at_any_level(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    db = await open_database(tmp_path / "store")
    async with db.writing() as transaction:
        await transaction.run(NOTE, ("canary-value",))
    await db.close()
    assert "canary-value" not in caplog.text
