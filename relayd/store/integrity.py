"""Whether the database file is sound, as SQLite itself judges it, and of this relayd."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from relayd.store.connection import connect
from relayd.store.migration import pending
from relayd.store.transaction import Transaction, mapped

BUSY_MS: Final = 5000


async def is_sound(transaction: Transaction) -> bool:
    """Reads every page (`PRAGMA quick_check`); damage that stops it raises `store_damaged`."""
    return await transaction.rows("PRAGMA quick_check(1)") == [("ok",)]


async def due(file: Path) -> list[int]:
    """The migrations that a start would make; the file is opened to be read alone."""
    with mapped():
        reader = await connect(file, BUSY_MS, read_alone=True)
        try:
            return await pending(reader)
        finally:
            await reader.close()
