"""Policy leaves the store as a whole: one snapshot of one state of the store.

Law: this is the only road from accounts and keys to the relay. `renew` gives what `load` would,
and reads no more than what changed, where the store knows what that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from relayd.core.snapshot import KeyGrant, Snapshot, budgeted
from relayd.ops.clock import unix_ms
from relayd.store import consent as store_consent
from relayd.store import document as store_document
from relayd.store import key as store_key
from relayd.store import limit as store_limit
from relayd.store import meta
from relayd.store import subscription as store_subscription
from relayd.store.db import Database
from relayd.store.key import Known
from relayd.store.meta import PolicyChanges
from relayd.store.transaction import Transaction

CHANGES_MAX: Final = 5000
"""Accounts and keys that are read one by one; where more changed at once, everything is."""


class _Documents(NamedTuple):
    """The versions that last asked for each consent of `ROUTED`, and the policy in force."""

    asked: tuple[int, ...]
    edition: int


async def load(db: Database, now_ms: int | None = None) -> Snapshot:
    """The policy of a moment, of now where none is given.

    Keys that are revoked, or of an erased account, are not in it.
    """
    async with db.watching() as transaction:
        version = await meta.policy_version(transaction)
        documents = await _documents(transaction, now_ms)
        return await _whole(transaction, version, documents)


async def renew(db: Database, last: Snapshot, now_ms: int | None = None) -> Snapshot:
    """The same, from the snapshot before: that one itself where nothing changed, else one that
    is to take its place at once (`Snapshot.after`)."""
    async with db.watching() as transaction:
        version = await meta.policy_version(transaction)
        if version == last.version:
            return last
        # another process may have erased an account
        db.keyring.forget()
        documents = await _documents(transaction, now_ms)
        changes = None
        if documents == (last.asked, last.edition):
            changes = await meta.policy_changes(transaction, last.version, version, CHANGES_MAX)
        if changes is None:
            return await _whole(transaction, version, documents)
        grants = await _changed(transaction, changes, documents.asked)
        plans = await store_subscription.plans(transaction, changes.owners)
    return last.after(version, grants, {who: plans.get(who) for who in changes.accounts})


async def _documents(transaction: Transaction, now_ms: int | None) -> _Documents:
    now_ms = unix_ms() if now_ms is None else now_ms
    asked = [await store_document.asked_anew(transaction, item, now_ms)
             for item in store_consent.ROUTED]
    return _Documents(
        tuple(asked), await store_document.policy_in_force(transaction, now_ms))


async def _whole(
    transaction: Transaction, version: int, documents: _Documents,
) -> Snapshot:
    keys: dict[bytes, KeyGrant] = {}
    with_budgets: list[KeyGrant] = []
    known = await _known(transaction, documents.asked)
    async for batch in store_key.grants(transaction, known):
        keys.update(batch)
        with_budgets += budgeted(batch.values())
    plans = await store_subscription.plans(transaction)
    return Snapshot(version, keys, with_budgets, plans, documents.edition, documents.asked)


async def _changed(
    transaction: Transaction, changes: PolicyChanges, asked: Sequence[int],
) -> dict[bytes, KeyGrant | None]:
    known = await _known(transaction, asked, changes)
    return await store_key.changed_grants(transaction, changes.accounts, changes.keys, known)


async def _known(
    transaction: Transaction, asked: Sequence[int], changes: PolicyChanges | None = None,
) -> Known:
    """What grants have besides their keys' rows; of all, or of those that changed."""
    owners = None if changes is None else changes.owners
    overseas, training, attribution = [
        await store_consent.holding(transaction, item, version, owners)
        for item, version in zip(store_consent.ROUTED, asked, strict=True)]
    of_accounts = await store_limit.everybody(transaction, "account", owners)
    if changes is None:
        of_keys = await store_limit.everybody(transaction, "key")
    else:
        of_keys = await store_limit.everybody(transaction, "key", changes.keys)
        of_keys |= await store_limit.of_working_keys(transaction, changes.accounts)
    return Known(overseas, training, attribution, of_accounts, of_keys)


async def policy_version(db: Database) -> int:
    """Changes whenever `load` would give something else."""
    async with db.watching() as transaction:
        return await meta.policy_version(transaction)
