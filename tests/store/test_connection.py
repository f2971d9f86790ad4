"""Statements that are handed over together: in their order, and none behind one that fails."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from relayd.store.connection import connect


async def test_together(tmp_path: Path) -> None:
    connection = await connect(tmp_path / "file.db", 100)
    try:
        assert await connection.run_all([
            ("CREATE TABLE t (a INTEGER PRIMARY KEY)", None), ("BEGIN", None),
            ("INSERT INTO t VALUES (?) ON CONFLICT DO NOTHING", [(1,), (2,), (1,)]),
            ("INSERT INTO t VALUES (3)", [()]), ("DELETE FROM t WHERE a < ?", [(3,)]),
            ("COMMIT", None)]) == [0, 0, 2, 1, 2, 0]
        assert await connection.run_all([]) == []
        with pytest.raises(sqlite3.IntegrityError):
            await connection.run_all([
                ("INSERT INTO t VALUES (4)", None), ("INSERT INTO t VALUES (3)", None),
                ("INSERT INTO t VALUES (5)", None)])
        rows = await connection.execute_fetchall("SELECT a FROM t ORDER BY a")
        assert [tuple(row) for row in rows] == [(3,), (4,)]
    finally:
        await connection.close()


async def test_another_process_that_writes_is_waited_for(tmp_path: Path) -> None:
    one, other = [await connect(tmp_path / "file.db", 1) for _ in range(2)]
    try:
        await one.run_all([("BEGIN IMMEDIATE", None)])
        with pytest.raises(sqlite3.OperationalError) as caught:
            await other.run_all([("BEGIN IMMEDIATE", None)])
        assert caught.value.sqlite_errorcode == sqlite3.SQLITE_BUSY
    finally:
        await one.close()
        await other.close()


async def test_a_file_that_cannot_be_opened_leaves_no_thread(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with pytest.raises(sqlite3.OperationalError):
        await connect(tmp_path / "none" / "file.db", 100)
    assert before.issuperset(threading.enumerate())


def test_who_goes_while_it_is_opened_leaves_no_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It would tell a loop that is closed, on stderr."""
    opened = sqlite3.connect

    def slowly(*given: Any, **named: Any) -> sqlite3.Connection:
        time.sleep(0.1)
        return opened(*given, **named)

    async def left() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await connect(tmp_path / "file.db", 100)

    said: list[object] = []
    monkeypatch.setattr("sqlite3.connect", slowly)
    monkeypatch.setattr(threading, "excepthook", said.append)
    before = set(threading.enumerate())
    asyncio.run(left())
    assert before.issuperset(threading.enumerate()) and said == []
