"""The ledger's own check: what is stored in sums must be what the records add up to."""

from __future__ import annotations

from typing import Final

from relayd.core.attribution import AppKey
from relayd.core.rollup import Sums
from relayd.core.timestamp import HOUR_MS, rfc3339
from relayd.store import attribution as store_attribution
from relayd.store import meta as store_meta
from relayd.store import rollup as store_rollup
from relayd.store.db import Database
from relayd.store.rollup import Difference

PART_MS: Final = 31 * 24 * HOUR_MS
"""Sums of so long are held in memory at once."""


async def verify(db: Database) -> list[Difference]:
    """Every hour whose sums, by model or by application, are wrong; empty where all is well.
    Sees one state of the store.

    Hours whose records are no longer kept (control/retention.py) have nothing to be held against.
    """
    async with db.reading_long() as transaction:
        first_ms, end_ms = await store_rollup.bounds(transaction)
        first_ms = max(first_ms, await store_meta.swept_ms(transaction))
        found: list[Difference] = []
        for check in (store_rollup.differences, store_attribution.differences):
            for since_ms in range(first_ms, end_ms, PART_MS):
                found += await check(transaction, since_ms, min(end_ms, since_ms + PART_MS))
    return found


def changed(difference: Difference) -> list[tuple[str, int, int]]:
    """What differs: (field, stored, computed); a row that is missing counts as zeros."""
    none = Sums(*[0] * len(Sums._fields))
    pairs = zip(Sums._fields, difference.stored or none, difference.computed or none, strict=True)
    return [(name, stored, computed) for name, stored, computed in pairs if stored != computed]


def what(difference: Difference) -> tuple[str | None, str | None]:
    """The model or the application that the sums are of."""
    key = difference.key
    return (None, key.app) if isinstance(key, AppKey) else (key.model or None, None)


def view(difference: Difference) -> dict[str, object]:
    """One difference as JSON shows it: where, and `[stored, computed]` of what differs."""
    key = difference.key
    names: dict[str, object] = {"application": key.app} if isinstance(key, AppKey) else {
        "model": key.model or None, "provider": key.provider or None}
    return {
        "hour": rfc3339(key.hour_ms), "account": key.account, "key": key.key, **names,
        "currency": key.currency,
        "differs": {name: [stored, due] for name, stored, due in changed(difference)},
    }
