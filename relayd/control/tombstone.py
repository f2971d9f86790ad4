"""Erasures that a restored copy of the store knows nothing of, carried out again; and the audit
event of the restore.

Law: they are what they were the first time: what a law wants kept goes to the vault, and the rest
is gone.
"""

from __future__ import annotations

import orjson

from relayd.control import audit, vault
from relayd.core.actor import SHELL, SYSTEM
from relayd.core.retention import Terms
from relayd.store import erasure as store_erasure
from relayd.store import tombstone as store_tombstone
from relayd.store.carry import RESTORED
from relayd.store.db import Database
from relayd.store.directory import StoreError
from relayd.store.meta import bump_policy_version, set_word, word


async def reapply(db: Database, terms: Terms, now_ms: int) -> int:
    """Erase again every account whose data key is destroyed; returns how many there were. The
    restore before that gets its event.

    Raises StoreError `store_busy` where a reader keeps the old rows in the files.
    """
    await _tell(db, now_ms)
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


async def _tell(db: Database, now_ms: int) -> None:
    async with db.reading() as transaction:
        if await word(transaction, RESTORED) is None:
            return
    async with db.writing() as transaction:
        said = await word(transaction, RESTORED)
        if said is None:
            return
        found = orjson.loads(said)
        counts = {name: count for name, count in found["done"].items() if count}
        await audit.append(transaction, SHELL, "store.restore", None, now_ms, details={
            "known": found["known"], "later": found["later"], **counts})
        await set_word(transaction, RESTORED, None)
