"""One transaction: the few ways in which the files of `store/` speak SQL.

Law: every error of sqlite3 is mapped here, by its number and never by its text, to a StoreError.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from relayd.store.connection import Connection, Statement
from relayd.store.directory import StoreError

if TYPE_CHECKING:
    from relayd.store.sealer import Sealer

BATCH_ROWS: Final = 1000
"""Rows that are fetched at once; the event loop runs between batches."""

Row = tuple[Any, ...]
Values = Sequence[Any]

# its `get` is None's adapter: None for None, without a Python frame
_NOTHING: Final[dict[None, None]] = {}

_CODES: Final = {
    sqlite3.SQLITE_BUSY: "store_busy",
    sqlite3.SQLITE_LOCKED: "store_busy",
    sqlite3.SQLITE_CONSTRAINT: "store_refused",
    sqlite3.SQLITE_MISMATCH: "store_refused",
    sqlite3.SQLITE_TOOBIG: "store_refused",
}
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_WHY: Final = {
    sqlite3.SQLITE_FULL: "the disk is full", sqlite3.SQLITE_READONLY: "it is read-only",
    sqlite3.SQLITE_IOERR: "the disk fails, or is full",
    sqlite3.SQLITE_CANTOPEN: "a file cannot be opened or made",
}


def bind_quickly() -> None:
    """Spare sqlite3 a search for how to store None and bool, in this whole process.

    They are stored as ever. But sqlite3 looks for an adapter whenever a value is not exactly an
    int, float, str or bytearray, by two attributes that None and bool lack: 275 ns, where an int
    takes 14. One that is registered it finds at once.
    """
    sqlite3.register_adapter(type(None), _NOTHING.get)
    sqlite3.register_adapter(bool, int)


@contextmanager
def mapped(damaged: str = "store_damaged") -> Iterator[None]:
    """Raises StoreError for whatever the database or its files raise inside the block; `damaged`
    is its code where that is what the file is."""
    try:
        yield
    except sqlite3.Error as error:
        # extended codes carry the primary one in their low byte; errors of the binding have none
        number = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        code = damaged if number in _DAMAGED else _CODES.get(number, "store_failed")
        raise _told(code, _WHY.get(number, "")) from None
    except (OverflowError, UnicodeEncodeError):
        # an integer above 64 bits, a lone surrogate: values that no column holds
        raise StoreError("store_refused") from None
    except PermissionError as error:
        # names of a store's files are the relay's own
        name = Path(os.fsdecode(error.filename)).name if error.filename else ""
        raise _told("store_permission", f"'{name}'" if name else "") from None
    except OSError as error:
        raise _told("store_failed", os.strerror(error.errno) if error.errno else "") from None


def _told(code: str, why: str) -> StoreError:
    error = StoreError(code)
    error.why = why
    return error


class Transaction:
    """Valid inside the `async with` of `Database.writing()` or `reading()` alone."""

    __slots__ = ("_connection", "sealer", "_waiting")

    def __init__(self, connection: Connection, sealer: Sealer) -> None:
        self._connection = connection
        self.sealer = sealer
        self._waiting: list[Statement] = []

    def seal(
        self, owner: str, table: str, column: str, row: str, text: str | None,
    ) -> bytes | None:
        """`Sealer.seal`: a personal text for its column. `owner` needs a key (`Keyring.make`)."""
        return self.sealer.seal(owner, table, column, row, text)

    def unseal(
        self, owner: str, table: str, column: str, row: str, sealed: bytes | None,
    ) -> str | None:
        """`Sealer.unseal`."""
        return self.sealer.unseal(owner, table, column, row, sealed)

    def blind(self, kind: str, value: str) -> bytes:
        """`Sealer.blind`: what a sealed text is found by."""
        return self.sealer.blind(kind, value)

    def later(self, sql: str, rows: Sequence[Values] | None = None) -> None:
        """Run one statement, for each row if there are any, together with what comes next or with
        the COMMIT: for what needs no answer, and so no hand-over of its own."""
        self._waiting.append((sql, rows))

    async def all(self, statements: Iterable[Statement]) -> int:
        """Run all of these at once; returns the number of rows they changed."""
        waiting = self._taken()
        changed = await self._connection.run_all([*waiting, *statements])
        return sum(changed[len(waiting):])

    async def run(self, sql: str, values: Values = ()) -> int:
        """Run one statement; returns the number of rows it changed."""
        return (await self._connection.run_last(self._taken(), sql, values))[1]

    async def many(self, sql: str, rows: Sequence[Values]) -> int:
        """Run one statement for each row; returns the number of rows changed."""
        return await self.all([(sql, rows)])

    async def rows(self, sql: str, values: Values = ()) -> list[Row]:
        """All rows of a query whose answer is known to be small."""
        return (await self._connection.run_last(self._taken(), sql, values))[0]

    async def row(self, sql: str, values: Values = ()) -> Row | None:
        """The first row of a query, or None."""
        found = await self.rows(sql, values)
        return found[0] if found else None

    async def batches(self, sql: str, values: Values = ()) -> AsyncIterator[list[Row]]:
        """The rows of a query whose answer may be large, BATCH_ROWS at a time."""
        await self.catch_up()
        cursor = await self._connection.execute(sql, values)
        try:
            while batch := await cursor.fetchmany(BATCH_ROWS):
                yield [tuple(row) for row in batch]
        finally:
            await cursor.close()

    async def catch_up(self) -> None:
        """Run what waits, now."""
        await self.all(())

    def _taken(self) -> list[Statement]:
        waiting, self._waiting = self._waiting, []
        return waiting
