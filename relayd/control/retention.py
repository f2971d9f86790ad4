"""Retention: call records are kept for some days, their hours' sums for good.

Law: what is deleted are whole hours, the oldest first, in transactions so small that nobody waits
for one; the store says from when on its records are complete before the first of them goes.
"""

from __future__ import annotations

from typing import Final

from relayd.core.rollup import hour_of
from relayd.store import meta as store_meta
from relayd.store import record as store_record
from relayd.store.db import Database

DAY_MS: Final = 86_400_000
BATCH_RECORDS: Final = 500
"""Records per transaction: 2 to 5 ms, and the disk's sync."""


def ends_ms(now_ms: int, days: int) -> int:
    """Calls that started before this moment, the start of an hour, are kept no longer."""
    return max(0, hour_of(now_ms - days * DAY_MS))


async def sweep_batch(db: Database, until_ms: int, most: int = BATCH_RECORDS) -> int:
    """Delete the records of the oldest calls from before `until_ms` (the start of an hour).

    Returns how many; fewer than `most` say that no more are left. Raises StoreError.
    """
    async with db.writing() as transaction:
        deleted = await store_record.delete_before(transaction, until_ms, most)
        if deleted:
            await store_meta.set_swept_ms(transaction, until_ms)
    return deleted


async def kept_from_ms(db: Database) -> int:
    """Of calls that started before this moment only the hours' sums are left; 0: all are there."""
    async with db.reading() as transaction:
        return await store_meta.swept_ms(transaction)
