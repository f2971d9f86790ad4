"""A sound database, and one whose pages were overwritten."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from relayd.store.db import FILE_NAME, Database, open_database
from relayd.store.directory import StoreError
from relayd.store.integrity import due, is_sound


async def test_sound(db: Database) -> None:
    async with db.reading() as transaction:
        assert await is_sound(transaction)


async def test_what_a_start_would_do_is_known_without_doing_it(db: Database) -> None:
    assert await due(db.directory / FILE_NAME) == []
    async with db.writing() as transaction:
        await transaction.run("DELETE FROM schema_migrations WHERE version = 12")
    assert await due(db.directory / FILE_NAME) == [12]


async def test_a_file_that_is_not_there_leaves_no_thread_and_is_not_made(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with pytest.raises(StoreError):
        await due(tmp_path / FILE_NAME)
    assert before.issuperset(threading.enumerate()) and not list(tmp_path.iterdir())


async def test_damaged(tmp_path: Path) -> None:
    directory = tmp_path / "store"
    db = await open_database(directory)
    await db.checkpoint()
    await db.close()
    path = directory / FILE_NAME
    content = bytearray(path.read_bytes())
    for page in range(4096, len(content) - 4096, 4096):
        content[page:page + 512] = b"\x5a" * 512
    path.write_bytes(content)
    try:
        db = await open_database(directory)
    except StoreError as error:
        assert error.code == "store_damaged"
        return
    try:
        async with db.reading() as transaction:
            assert not await is_sound(transaction)
    except StoreError as error:
        assert error.code == "store_damaged"
    finally:
        await db.close()
