"""Series: an account's use over time, in all or by model, key, application or provider."""

from __future__ import annotations

from typing import Final

from relayd.core.attribution import split
from relayd.core.series import Dimension, Period, Point, renamed
from relayd.store import attribution as store_attribution
from relayd.store import key as store_key
from relayd.store import series as store_series
from relayd.store.db import Database
from relayd.store.series import Column

_COLUMNS: Final[dict[Dimension, Column]] = {
    "model": "model", "key": "key_id", "app": "key_id", "provider": "provider"}


async def points(
    db: Database, account: str, wanted: Period, by: Dimension | None = None
) -> list[Point]:
    """The account's points. An application is the label that its key has now; where that has none,
    what requests said."""
    column = None if by is None else _COLUMNS[by]
    async with db.reading() as transaction:
        found = await store_series.points(transaction, account, wanted, column)
        if by != "app":
            return found
        shares = await store_attribution.shares(transaction, account, wanted)
        labels = await store_key.labels(transaction, account, {point.name for point in found})
    left, named = split(found, shares)
    return [*renamed(left, {key: app or "" for key, app in labels.items()}), *named]
