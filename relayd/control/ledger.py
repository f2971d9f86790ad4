"""The ledger's own check: what is stored in sums must be what the records add up to."""

from __future__ import annotations

from relayd.core.attribution import AppKey
from relayd.core.rollup import Sums
from relayd.core.timestamp import rfc3339
from relayd.store import attribution as store_attribution
from relayd.store import meta as store_meta
from relayd.store import rollup as store_rollup
from relayd.store.db import Database
from relayd.store.rollup import Difference


async def verify(db: Database) -> list[Difference]:
    """Every hour whose sums, by model or by application, are wrong; empty where all is well.
    Sees one state of the store.

    Hours whose records are no longer kept (control/retention.py) have nothing to be held against.
    """
    async with db.reading_long() as transaction:
        since_ms = await store_meta.swept_ms(transaction)
        return [*await store_rollup.differences(transaction, since_ms),
                *await store_attribution.differences(transaction, since_ms)]


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
