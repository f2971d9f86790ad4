"""A connection to SQLite on a thread of its own, to which many statements are handed at once.

Law: what is handed over together is run in its order, and nothing of it behind what fails.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import aiosqlite

Statement = tuple[str, Sequence[Sequence[Any]] | None]
"""SQL that is run once for each of these rows; with None just once, without values."""

_FETCHED_AT_ONCE: Final = 64


class Connection(aiosqlite.Connection):
    """As aiosqlite's, each call of which is a hand-over that costs loop and thread 50 us each."""

    @property
    def closed(self) -> bool:
        """Whether it can run nothing any more."""
        return self._connection is None

    async def run_all(self, statements: Sequence[Statement]) -> list[int]:
        """Run all of these; returns how many rows each of them changed."""
        found: list[int] = await self._execute(
            _run_all, self._conn, statements)  # type: ignore[no-untyped-call]
        return found

    async def run_last(
        self, before: Sequence[Statement], sql: str, values: Sequence[Any],
    ) -> tuple[list[tuple[Any, ...]], int]:
        """Run one statement after these; returns its rows, and how many it changed."""
        found: tuple[list[tuple[Any, ...]], int] = await self._execute(
            _run_last, self._conn, before, sql, values)  # type: ignore[no-untyped-call]
        return found


def _run_all(connection: sqlite3.Connection, statements: Sequence[Statement]) -> list[int]:
    changed = []
    for sql, rows in statements:
        if rows is None:
            connection.execute(sql)
            changed.append(0)
        else:
            changed.append(connection.executemany(sql, rows).rowcount)
    return changed


def _run_last(
    connection: sqlite3.Connection, before: Sequence[Statement], sql: str, values: Sequence[Any],
) -> tuple[list[tuple[Any, ...]], int]:
    if before:
        _run_all(connection, before)
    cursor = connection.execute(sql, values)
    return cursor.fetchall(), cursor.rowcount


async def connect(path: Path, busy_ms: int, *, read_alone: bool = False) -> Connection:
    """An open connection, on which transactions are opened by hand."""
    name = f"{path.absolute().as_uri()}?mode=ro" if read_alone else path

    def connector() -> sqlite3.Connection:
        return sqlite3.connect(
            name, timeout=busy_ms / 1000, isolation_level=None, uri=read_alone)
    connection = Connection(connector, _FETCHED_AT_ONCE)
    try:
        await connection
    except BaseException:
        # its thread has been told to stop, and tells the loop so, which may be closed soon
        connection._thread.join()
        raise
    return connection
