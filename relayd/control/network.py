"""Network records: post what the relay has noted, look at it with a reason, let it go in time.

Law: nobody sees a record of somebody else without the role `security` and a reason, which is in
the audit log before the first record is read. Records older than their term are deleted; a month's
key is destroyed when all that it may have sealed is older, which covers every copy of its rows.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Final

from relayd.control import audit
from relayd.core.actor import Actor
from relayd.core.errors import RelayError
from relayd.core.network import NetworkRecord, month_ended_ms
from relayd.core.timestamp import rfc3339
from relayd.core.ulid import RANDOM_BYTES, ulid
from relayd.store import account as store_account
from relayd.store import network as store_network
from relayd.store.db import Database

BATCH_RECORDS: Final = 100
"""Records per transaction: about 1 ms of the loop, where they are sealed."""
SWEEP_RECORDS: Final = 500
LOOK_MAX: Final = 10_000


async def post(db: Database, records: Sequence[NetworkRecord]) -> int:
    """Store one batch of records; returns how many. Raises StoreError: none of them is stored.

    One of a clock that was behind by months is left out where that month's key is destroyed: no
    other try would store it, and what came after it would wait behind it for good.
    """
    await db.keyring.make(*{store_network.month_owner(record.at_ms) for record in records})
    named = {ulid(record.at_ms, secrets.token_bytes(RANDOM_BYTES)): record for record in records}
    async with db.writing() as transaction:
        return await store_network.insert(transaction, named)


async def look(
    db: Database, actor: Actor, who: str, reason: str, now_ms: int, *, most: int = LOOK_MAX,
) -> list[NetworkRecord]:
    """An account's newest records, newest first, for an operator of the role `security`.

    Raises `role_needed`, `reason_missing`, `account_not_found`. The account's owner sees that
    somebody looked, and why.
    """
    if not actor.has("security"):
        raise RelayError("role_needed")
    async with db.writing() as transaction:
        account = await store_account.known(transaction, who)
        await audit.append(transaction, actor, "network.look", account.id, now_ms, reason=reason)
    return await _of(db, account.id, most)


async def own(db: Database, account_id: str, most: int = LOOK_MAX) -> list[NetworkRecord]:
    """An account's records for its owner, newest first."""
    return await _of(db, account_id, most)


async def _of(db: Database, account_id: str, most: int) -> list[NetworkRecord]:
    found: list[NetworkRecord] = []
    async with db.reading() as transaction:
        async for batch in store_network.latest(transaction, account_id, most):
            found += batch
    return found


async def sweep_batch(db: Database, before_ms: int, most: int = SWEEP_RECORDS) -> int:
    """Delete the oldest records from before a moment; fewer than `most`: no more are left."""
    async with db.writing() as transaction:
        return await store_network.delete_before(transaction, before_ms, most)


async def destroy_months(db: Database, before_ms: int) -> list[str]:
    """Destroy the keys of months that were over before a moment; returns the months."""
    done = []
    for owner in db.keyring.owners(prefix=store_network.MONTH):
        month = owner.removeprefix(store_network.MONTH)
        if month_ended_ms(month) <= before_ms:
            await db.keyring.destroy(owner)
            done.append(month)
    return done


def view(record: NetworkRecord) -> dict[str, object]:
    """The record as JSON shows it."""
    return {
        "at": rfc3339(record.at_ms), "key": record.key, "address": record.address,
        "port": record.port, "tls": record.tls, "client": record.client,
    }
