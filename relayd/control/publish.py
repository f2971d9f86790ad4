"""Policy leaves the store as a whole: one frozen snapshot of one state of the store.

Law: this is the only road from accounts and keys to the relay.
"""

from __future__ import annotations

from dataclasses import replace
from relayd.core.limit import OwnLimits
from relayd.core.snapshot import KeyGrant, Snapshot
from relayd.ops.clock import unix_ms
from relayd.store import consent as store_consent
from relayd.store import document as store_document
from relayd.store import key as store_key
from relayd.store import limit as store_limit
from relayd.store import meta
from relayd.store import subscription as store_subscription
from relayd.store.db import Database
from relayd.store.limit import Own
from relayd.store.transaction import Transaction


async def load(db: Database, now_ms: int | None = None) -> Snapshot:
    """The policy of a moment, of now where none is given.

    Keys that are revoked, or of an erased account, are not in it.
    """
    keys: dict[bytes, KeyGrant] = {}
    async with db.reading() as transaction:
        version = await meta.policy_version(transaction)
        of_accounts = await store_limit.everybody(transaction, "account")
        of_keys = await store_limit.everybody(transaction, "key")
        now_ms = unix_ms() if now_ms is None else now_ms
        agreed = [await _agreed(transaction, item, now_ms) for item in store_consent.ROUTED]
        async for batch in store_key.grants(transaction, *agreed):
            if of_accounts or of_keys:
                batch = {d: _limited(grant, of_accounts, of_keys) for d, grant in batch.items()}
            keys.update(batch)
        plans = await store_subscription.plans(transaction)
        edition = await store_document.policy_in_force(transaction, now_ms)
    limited = (grant for grant in keys.values() if grant.limits is not None)
    return Snapshot(version, keys, tuple(g for g in limited if g.limits and g.limits.has_budgets),
                    plans, edition)


async def _agreed(transaction: Transaction, item: str, now_ms: int) -> frozenset[str]:
    """The accounts that agreed to an item, in the version that last asked for it."""
    asked = await store_document.asked_anew(transaction, item, now_ms)
    return await store_consent.holding(transaction, item, asked)


def _limited(grant: KeyGrant, of_accounts: Own, of_keys: Own) -> KeyGrant:
    account, key = of_accounts.get(grant.account), of_keys.get(grant.key)
    if account is None and key is None:
        return grant
    return replace(grant, limits=OwnLimits(account or {}, key or {}))


async def policy_version(db: Database) -> int:
    """Changes whenever `load` would give something else."""
    async with db.reading() as transaction:
        return await meta.policy_version(transaction)
