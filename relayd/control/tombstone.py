"""Erasures that a restored copy of the store knows nothing of, carried out again.

Law: they are what they were the first time: what a law wants kept goes to the vault, and the rest
is gone.
"""

from __future__ import annotations

from relayd.control import audit, vault
from relayd.core.actor import SYSTEM
from relayd.core.retention import Terms
from relayd.store import erasure as store_erasure
from relayd.store import tombstone as store_tombstone
from relayd.store.db import Database
from relayd.store.directory import StoreError
from relayd.store.meta import bump_policy_version


async def reapply(db: Database, terms: Terms, now_ms: int) -> int:
    """Erase again every account whose data key is destroyed; returns how many there were.

    Raises StoreError `store_busy` where a reader keeps the old rows in the files.
    """
    gone = [owner for owner in db.keyring.owners(destroyed=True) if ":" not in owner]
    async with db.reading() as transaction:
        found = await store_tombstone.living(transaction, gone)
    for account in found:
        async with db.writing() as transaction:
            await vault.store(transaction, account, terms, now_ms)
            await store_erasure.remove(transaction, account)
            await store_tombstone.blank(transaction, account, now_ms)
            await audit.append(transaction, SYSTEM, "account.erase", account, now_ms,
                               details={"cause": "restore"})
            await bump_policy_version(transaction)
    if found and not await db.checkpoint():
        raise StoreError("store_busy")
    return len(found)
