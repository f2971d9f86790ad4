"""The meter: call records between settling and the store. In memory, bounded, counted when full.

It is the seam for the journal: `append` is the only way in, `take` the only way out.
"""

from __future__ import annotations

from typing import Final

from relayd.core.record import CallRecord

RECORDS_MAX: Final = 500_000
"""About 300 MB. At the limit new records are dropped and `dropped` counts them; /readyz is long
false by then, because the store cannot be written."""


class Meter:
    """Collects settled records until the flush job takes them."""

    __slots__ = ("_records", "dropped", "_max")

    def __init__(self, records_max: int = RECORDS_MAX) -> None:
        self._records: list[CallRecord] = []
        self._max = records_max
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._records)

    def append(self, record: CallRecord) -> None:
        """Takes one settled record. Never waits, never raises."""
        if len(self._records) < self._max:
            self._records.append(record)
        else:
            self.dropped += 1

    def take(self) -> list[CallRecord]:
        """All records so far; the caller owns them and gives back those it could not store."""
        records, self._records = self._records, []
        return records

    def give_back(self, records: list[CallRecord]) -> None:
        """Puts records that could not be stored in front of the later ones."""
        room = self._max - len(self._records)
        self.dropped += max(0, len(records) - room)
        self._records[:0] = records[:max(0, room)]
