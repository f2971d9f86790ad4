"""Changes: no commit is missed, of whatever process, and nothing else counts as one for long."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from relayd.store import change
from relayd.store.change import Changes, News
from relayd.store.db import FILE_NAME, Database

NOTE = "INSERT INTO meta (name, value) VALUES (?, '')"
OTHER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
for line in sys.stdin:
    db.execute("INSERT INTO meta (name, value) VALUES (?, '')", (line,))
    print("done", flush=True)
"""


async def write(db: Database, name: str) -> None:
    async with db.writing() as transaction:
        await transaction.run(NOTE, (name,))


async def test_every_commit_of_this_process_is_seen(db: Database) -> None:
    news = News(db.changes)
    for turn in range(50):
        await write(db, f"n{turn}")
        assert news.due()
        news.seen()
        assert not news.due() and not news.due()


async def test_what_is_only_read_or_undone_is_nothing_new(db: Database) -> None:
    news = News(db.changes)
    assert news.due()
    news.seen()
    async with db.reading() as transaction:
        await transaction.rows("SELECT name FROM meta")
    async with db.writing():
        pass
    with pytest.raises(ZeroDivisionError):
        async with db.writing() as transaction:
            await transaction.run(NOTE, ("n1",))
            raise ZeroDivisionError
    assert not news.due()


async def test_every_commit_of_another_process_is_seen_also_within_one_tick(
    db: Database,
) -> None:
    news = News(db.changes)
    command = [sys.executable, "-c", OTHER, str(db.directory / FILE_NAME)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as other:
        assert other.stdin is not None and other.stdout is not None
        for turn in range(100):
            print(f"n{turn}", file=other.stdin, flush=True)
            assert other.stdout.readline() == "done\n"
            assert news.due()
            news.seen()
            assert not news.due()
        other.stdin.close()


async def test_commits_around_a_checkpoint_are_seen(db: Database) -> None:
    news = News(db.changes)
    for turn in range(5):
        await write(db, f"n{turn}")
        assert news.due()
        news.seen()
        # the next commit makes the WAL just as large again
        assert await db.checkpoint()
        if news.due():
            news.seen()
        await write(db, f"m{turn}")
        assert news.due()
        news.seen()


async def test_a_commit_during_the_look_is_seen_by_the_next(db: Database) -> None:
    news = News(db.changes)
    assert news.due()
    await write(db, "n1")
    news.seen()
    assert news.due()


async def test_a_look_that_failed_is_due_again(db: Database) -> None:
    news = News(db.changes)
    assert news.due() and news.due()
    news.seen()
    assert not news.due()


async def test_after_a_while_it_is_due_anyway(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(change, "monotonic", lambda: now)
    news = News(db.changes, 15.0)
    assert news.due()
    news.seen()
    now += 14.9
    assert not news.due()
    now += 0.1
    assert news.due()


async def test_a_store_that_cannot_be_asked_counts_as_changed(
    db: Database, tmp_path: Path
) -> None:
    gone = News(Changes(tmp_path / "no" / FILE_NAME))
    assert gone.due()
    gone.seen()
    assert gone.due()
    (tmp_path / FILE_NAME).write_bytes(b"no database at all" * 100)
    broken = Changes(tmp_path / FILE_NAME)
    assert broken.count() is None
    broken.close()
    news = News(db.changes)
    assert news.due()
    news.seen()
    db.changes.close()
    assert news.due()
    with pytest.raises(sqlite3.ProgrammingError):
        assert db.changes._connection is not None
        db.changes._connection.execute("SELECT 1")


async def test_asking_keeps_nobody_from_writing(db: Database) -> None:
    for turn in range(20):
        db.changes.count()
        await write(db, f"n{turn}")
        assert await db.checkpoint()
