"""Policy leaves the store as a whole: one frozen snapshot of one state of the store.

Law: this is the only road from accounts and keys to the relay.
"""

from __future__ import annotations

from relayd.core.snapshot import KeyGrant, Snapshot
from relayd.store import key as store_key
from relayd.store import meta
from relayd.store.db import Database


async def load(db: Database) -> Snapshot:
    """The present policy. Keys that are revoked, or of an erased account, are not in it."""
    keys: dict[bytes, KeyGrant] = {}
    async with db.reading() as transaction:
        version = await meta.policy_version(transaction)
        async for batch in store_key.grants(transaction):
            keys.update(batch)
    return Snapshot(version, keys)


async def policy_version(db: Database) -> int:
    """Changes whenever `load` would give something else."""
    async with db.reading() as transaction:
        return await meta.policy_version(transaction)
