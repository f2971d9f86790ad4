"""Applications by what requests say of themselves, for accounts that asked for that.

Law: looked at where a head is new and its account has switched it on, and nowhere else; a label
that the key itself has stands. So many labels a day are taken of an account, so that a client that
makes one up for each call does not make a row of each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from relayd.core.snapshot import KeyGrant
from relayd.core.timestamp import DAY_MS
from relayd.wire.attribution import application

LABELS_MAX: Final = 100
"""Labels of one account on one day; calls under others have none."""


class Applications:
    """Remembers the labels of a day: this process's, in memory."""

    __slots__ = ("_day", "_labels")

    def __init__(self) -> None:
        self._day = 0
        self._labels: dict[str, set[str]] = {}

    def named(self, grant: KeyGrant, fields: Mapping[bytes, bytes], now_ms: int) -> KeyGrant:
        """The grant with the label of the request's application, where it says one."""
        label = application(fields) if grant.app is None else None
        if label is None or not self._has_room(grant.account, label, now_ms // DAY_MS):
            return grant
        return msgspec.structs.replace(grant, app=label)

    def _has_room(self, account: str, label: str, day: int) -> bool:
        if day != self._day:
            self._day = day
            self._labels.clear()
        labels = self._labels.setdefault(account, set())
        if len(labels) < LABELS_MAX:
            labels.add(label)
        return label in labels
