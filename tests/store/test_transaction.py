"""Errors of SQLite arrive as one kind, without values; answers come as tuples."""

from __future__ import annotations

import errno
import sqlite3
import traceback
from pathlib import Path

import pytest

from relayd.store.db import Database
from relayd.store.directory import StoreError
from relayd.store.transaction import BATCH_ROWS, bind_quickly, mapped

NOTE = "INSERT INTO meta (name, value) VALUES (?, ?)"


async def test_answers(db: Database) -> None:
    async with db.writing() as transaction:
        assert await transaction.run(NOTE, ("a", "1")) == 1
        assert await transaction.many(NOTE, [("b", "2"), ("c", "3")]) == 2
        found = "SELECT name, value FROM meta WHERE name < 'd' ORDER BY name"
        assert await transaction.rows(found) == [("a", "1"), ("b", "2"), ("c", "3")]
        assert await transaction.row(found) == ("a", "1")
        assert await transaction.row("SELECT name FROM meta WHERE name = ?", ("x",)) is None


async def test_what_waits_is_run_in_its_order_before_what_comes_next(db: Database) -> None:
    renamed = "UPDATE meta SET value = value || ? WHERE name = 'a'"
    async with db.writing() as transaction:
        transaction.later(NOTE, [("a", "1"), ("b", "")])
        assert await transaction.run(renamed, ("2",)) == 1
        transaction.later("SAVEPOINT here")
        transaction.later(renamed, [("3",)])
        assert await transaction.all([(renamed, [("4",), ("5",)]), (renamed, [("6",)])]) == 3
        assert await transaction.row("SELECT value FROM meta WHERE name = 'a'") == ("123456",)
        transaction.later("ROLLBACK TO here")
        assert await transaction.many(renamed, [("7",)]) == 1
        transaction.later(renamed, [("8",)])
    async with db.reading() as transaction:
        assert await transaction.row("SELECT value FROM meta WHERE name = 'a'") == ("1278",)
    with pytest.raises(StoreError) as caught:
        async with db.writing() as transaction:
            await transaction.run(renamed, ("9",))
            transaction.later(NOTE, [("a", "canary")])
    assert caught.value.code == "store_refused"
    async with db.reading() as transaction:
        assert await transaction.row("SELECT value FROM meta WHERE name = 'a'") == ("1278",)


async def test_large_answers_come_in_batches(db: Database) -> None:
    async with db.writing() as transaction:
        await transaction.many(NOTE, [(f"n{n:05}", "") for n in range(BATCH_ROWS + 1)])
        found = "SELECT name FROM meta WHERE name LIKE 'n%' ORDER BY name"
        sizes = [len(batch) async for batch in transaction.batches(found)]
    assert sizes == [BATCH_ROWS, 1]


@pytest.mark.parametrize("sql, values, code", [
    (NOTE, ("secret_mark", "canary-value"), "store_refused"),
    (NOTE, (None, "canary-value"), "store_refused"),
    ("INSERT INTO counters VALUES ('canary-value', ?)", (-1,), "store_refused"),
    ("INSERT INTO counters VALUES ('canary-value', ?)", ("text",), "store_refused"),
    ("INSERT INTO counters VALUES ('canary-value', ?)", (2 ** 63,), "store_refused"),
    (NOTE, ("canary-value", "\ud800"), "store_refused"),
    ("SELECT canary-value FROM nowhere", (), "store_failed"),
    (NOTE, ("canary-value",), "store_failed"),
])
async def test_errors_have_a_code_and_no_values(
    db: Database, sql: str, values: tuple[object, ...], code: str
) -> None:
    with pytest.raises(StoreError) as caught:
        async with db.writing() as transaction:
            await transaction.run(sql, values)
    assert caught.value.code == code
    told = "".join(traceback.format_exception(caught.value))
    assert "canary-value" not in told


async def test_a_file_that_is_no_database_is_called_damaged(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"not a database" * 100)
    connection = sqlite3.connect(tmp_path / "file")
    with pytest.raises(StoreError) as caught, mapped():
        connection.execute("SELECT * FROM sqlite_master")
    connection.close()
    assert caught.value.code == "store_damaged"


@pytest.mark.parametrize("error, code", [
    (PermissionError(), "store_permission"),
    (OSError(errno.ENOSPC, ""), "store_failed"),
])
def test_errors_of_files(error: OSError, code: str) -> None:
    with pytest.raises(StoreError) as caught, mapped():
        raise error
    assert caught.value.code == code
    said = caught.value.sentence
    assert said.endswith("read or written: No space left on device.") or not error.errno
    assert said == caught.value.kind.message or error.errno


@pytest.mark.parametrize("path", ["/a/keys.db", b"/a/keys.db", Path("/a/keys.db")],
                         ids=["text", "bytes", "path"])
def test_a_file_of_another_user_is_named(path: object) -> None:
    with pytest.raises(StoreError) as caught, mapped():
        raise PermissionError(errno.EACCES, "", path)
    assert caught.value.sentence.endswith("or give it that file: 'keys.db'.")


def test_a_full_disk_is_told_in_words() -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("PRAGMA max_page_count = 1")
    with pytest.raises(StoreError) as caught, mapped():
        connection.executescript("CREATE TABLE a (b); CREATE TABLE c (d)")
    connection.close()
    assert caught.value.sentence == "The store cannot be read or written: the disk is full."


def test_none_and_bool_are_stored_as_ever_only_faster() -> None:
    bind_quickly()
    connection = sqlite3.connect(":memory:")
    found = connection.execute("SELECT ?, typeof(?1), ?, typeof(?2), ?", (None, True, False))
    assert found.fetchone() == (None, "null", 1, "integer", 0)
    connection.close()
    registered = {kind for kind, _ in sqlite3.adapters}
    assert {type(None), bool} <= registered
