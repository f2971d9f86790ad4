"""The meter: the one door from the relay to the journal and the store.

Law: no call is sent upstream before `open` has returned, and every call that was opened is closed
by `append`, once.
"""

from __future__ import annotations

from typing import Final, Protocol

from relayd.core.journal import Mark, Opening
from relayd.core.record import CallRecord

RECORDS_MAX: Final = 500_000
"""About 300 MB. At the limit new records are dropped and `dropped` counts them; /readyz is long
false by then, because the store cannot be written."""


class Journal(Protocol):
    """The append-only file, as the relay sees it: one write() each, nothing is awaited."""

    def open(self, opening: Opening) -> None:
        """Writes an opening; raises RelayError `journal_full` where it cannot."""

    def mark(self, mark: Mark) -> None:
        """Writes how far a call has come; a mark that cannot be written is left out."""

    def close(self, record: CallRecord) -> None:
        """Writes a call's end; never raises: what cannot be written now is written later."""


class Meter:
    """Collects settled records until the flush job takes them."""

    __slots__ = ("_records", "dropped", "_max", "_journal")

    def __init__(self, records_max: int = RECORDS_MAX, journal: Journal | None = None) -> None:
        self._records: list[CallRecord] = []
        self._max = records_max
        self._journal = journal
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._records)

    def open(self, opening: Opening) -> None:
        """Says that a call is about to be sent; raises RelayError `journal_full`: do not send."""
        if self._journal is not None:
            self._journal.open(opening)

    def mark(self, mark: Mark) -> None:
        """Says how far an open call has come."""
        if self._journal is not None:
            self._journal.mark(mark)

    def append(self, record: CallRecord) -> None:
        """Takes one settled record. Never waits, never raises."""
        if self._journal is not None:
            self._journal.close(record)
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
