"""Whether the database file is sound, as SQLite itself judges it."""

from __future__ import annotations

from relayd.store.transaction import Transaction


async def is_sound(transaction: Transaction) -> bool:
    """Reads every page (`PRAGMA quick_check`); damage that stops it raises `store_damaged`."""
    return await transaction.rows("PRAGMA quick_check(1)") == [("ok",)]
