"""Schema versions: forward only, all or nothing, newer ones refused."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from relayd.store import migration
from relayd.store.db import FILE_NAME, Database, open_database
from relayd.store.directory import StoreError
from relayd.store.migration import Migration, known, statements


def test_the_files_are_numbered_without_gaps() -> None:
    assert [each.version for each in known()] == list(range(1, len(known()) + 1))


def test_every_table_is_strict() -> None:
    for each in known():
        tables = re.findall(r"CREATE TABLE.*?\n\)(.*?);", each.sql, re.DOTALL)
        assert all("STRICT" in options for options in tables)
    assert any("CREATE TABLE" in each.sql for each in known())


def test_a_file_is_cut_into_statements() -> None:
    sql = ("-- a; comment\nCREATE TABLE t (a);\n\nCREATE TRIGGER r AFTER INSERT ON t BEGIN\n"
           "  DELETE FROM t;\nEND;\nINSERT INTO t VALUES (';');\n")
    assert [text.strip()[:14] for text in statements(sql)] == [
        "-- a; comment\n", "CREATE TRIGGER", "INSERT INTO t "]


async def test_opening_again_changes_nothing(tmp_path: Path) -> None:
    for _ in range(2):
        db = await open_database(tmp_path / "store")
        async with db.reading() as transaction:
            versions = await transaction.rows("SELECT version FROM schema_migrations")
        await db.close()
        assert versions == [(each.version,) for each in known()]


async def test_a_newer_store_is_refused_with_words(db: Database) -> None:
    async with db.writing() as transaction:
        await transaction.run("INSERT INTO schema_migrations VALUES (9999, 'later')")
    with pytest.raises(StoreError) as caught:
        await open_database(db.directory)
    assert caught.value.code == "store_newer" and "newer relayd" in caught.value.kind.message


async def test_a_migration_that_fails_leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = await open_database(tmp_path / "store")
    await db.close()
    broken = Migration(9000, "broken", "CREATE TABLE half (a TEXT) STRICT;\nCREATE nonsense;\n")
    monkeypatch.setattr(migration, "known", lambda before=known(): [*before, broken])
    with pytest.raises(StoreError) as caught:
        await open_database(tmp_path / "store")
    assert caught.value.code == "store_failed"
    connection = sqlite3.connect(tmp_path / "store" / FILE_NAME)
    tables = connection.execute("SELECT name FROM sqlite_master WHERE name = 'half'").fetchall()
    connection.close()
    assert tables == []
