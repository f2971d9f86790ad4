"""Attribution: hourly sums of the calls whose application the request named, and not the key.

Law: these are parts of rollups, by key and hour: what is left of a key's sums is under no name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import NamedTuple

from relayd.core.record import CallRecord
from relayd.core.rollup import SUM_FIELDS, Sums, hour_of
from relayd.core.series import NO_SUMS, Point, plus


class AppKey(NamedTuple):
    """What is summed together."""

    hour_ms: int
    account: str
    key: str
    app: str
    currency: str


class Share(NamedTuple):
    """The sums of one step that one application had of a key's."""

    at_ms: int
    key: str
    app: str
    currency: str
    sums: Sums


def attributed(
    records: Iterable[CallRecord], unlabelled: Collection[str],
) -> dict[AppKey, Sums]:
    """The sums of the records that have a label where their key, one of `unlabelled`, has none."""
    found: defaultdict[AppKey, Sums] = defaultdict(lambda: NO_SUMS)
    for each in records:
        if each.app is not None and each.key in unlabelled:
            key = AppKey(hour_of(each.started_at_ms), each.account, each.key, each.app,
                         each.currency)
            sums = Sums(1, *(getattr(each, name) for name in SUM_FIELDS))
            found[key] = plus(found[key], sums)
    return dict(found)


def split(
    points: Iterable[Point], shares: Collection[Share],
) -> tuple[list[Point], list[Point]]:
    """Points by key without the applications' shares of them, and these under their own names."""
    taken: defaultdict[tuple[int, str, str], Sums] = defaultdict(lambda: NO_SUMS)
    for share in shares:
        whole = share.at_ms, share.key, share.currency
        taken[whole] = plus(taken[whole], share.sums)
    left = [point._replace(sums=_minus(point.sums, taken.get(
        (point.at_ms, point.name, point.currency), NO_SUMS))) for point in points]
    return ([point for point in left if point.sums.calls],
            [Point(share.at_ms, share.app, share.currency, share.sums) for share in shares])


def _minus(whole: Sums, part: Sums) -> Sums:
    return Sums(*(a - b for a, b in zip(whole, part, strict=True)))
