"""The meter: the one door from the relay to the journal and the store.

Law: no call is sent upstream before `open` has returned, and every call that was opened is closed
by `append`, once. A record leaves memory by `take`, or because the journal has it: memory is
bounded, and nothing is lost by that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol

from relayd.core.journal import Mark, Opening
from relayd.core.record import CallRecord

RECORDS_MAX: Final = 100_000
"""About 100 MB: minutes of full load while the store fails. What is more is read again from the
journal."""


class Journal(Protocol):
    """The append-only file, as the relay sees it: nothing is awaited."""

    @property
    def number(self) -> int:
        """The number of the line that was written last; it only grows."""

    @property
    def pending(self) -> Sequence[CallRecord]:
        """Closed calls that are in no file yet."""

    def check(self) -> None:
        """Raises RelayError `journal_full` where no call can be opened now."""

    def open(self, opening: Opening) -> None:
        """Writes an opening; raises RelayError `journal_full` where it cannot."""

    def mark(self, mark: Mark) -> None:
        """Writes how far a call has come; a mark that cannot be written is left out."""

    def close(self, record: CallRecord) -> None:
        """Writes a call's end; never raises: what cannot be written now is written later."""

    def close_all(self, records: Sequence[CallRecord]) -> None:
        """The same for calls that ended together."""

    @property
    def waits(self) -> bool:
        """Whether an answer's last byte waits for the disk (`sync_ms = 0`)."""

    def when_synced(self, wake: Callable[[], None]) -> bool:
        """True where there is nothing to wait for; else `wake` is called once, later."""


class Taken(NamedTuple):
    """Records out of memory. With them, every call that closed up to line `through` is known to
    who took them: from these, or from the journal up to where memory began."""

    records: list[CallRecord]
    through: int


class Meter:
    """Collects settled records until the flush job takes them.

    `elsewhere` counts records that are not stored and in the journal alone. `waits`: an answer's
    last byte goes out when the disk has what was written before it. `check`, `open` and `mark` are
    the journal's own: a call is told of without a step between.
    """

    __slots__ = ("_records", "_max", "_journal", "_close", "_spilled", "_since", "elsewhere",
                 "check", "open", "mark", "waits", "when_synced")

    def __init__(self, journal: Journal, records_max: int = RECORDS_MAX) -> None:
        self._journal = journal
        self._records: list[CallRecord] = []
        self._max = records_max
        self._spilled = False
        self._since = journal.number
        self.elsewhere = 0
        self._close = journal.close
        self.check = journal.check
        self.open = journal.open
        self.mark = journal.mark
        self.waits = journal.waits
        self.when_synced = journal.when_synced

    def __len__(self) -> int:
        return len(self._records) + self.elsewhere

    def append(self, record: CallRecord) -> None:
        """Takes one settled record. Never waits, never raises."""
        self._close(record)
        if self._spilled:
            self.elsewhere += 1
            return
        records = self._records
        records.append(record)
        if len(records) > self._max:
            self._spill(0)

    def append_all(self, records: list[CallRecord]) -> None:
        """The same for records of calls that ended together."""
        self._journal.close_all(records)
        if self._spilled:
            self.elsewhere += len(records)
            return
        self._records += records
        if len(self._records) > self._max:
            self._spill(0)

    def take(self) -> Taken:
        """The records in memory, which the caller owns and gives back where it could not store
        them."""
        records, self._records = self._records, []
        return Taken(records, self._since if self._spilled else self._journal.number)

    def give_back(self, records: list[CallRecord]) -> None:
        """Puts records that could not be stored in front of the later ones."""
        if self._spilled or len(records) + len(self._records) > self._max:
            self._spill(len(records))
        else:
            self._records[:0] = records

    def since(self) -> int:
        """Up to which line the journal has to be read for what memory does not hold.

        From here on records stay in memory again, where they had been left to the journal.
        """
        if self._spilled:
            self._spilled = False
            self._records = list(self._journal.pending)
            self._since = self._journal.number
        return self._since

    def _spill(self, more: int) -> None:
        """From here on records are in the journal alone, until somebody asks `since`."""
        self.elsewhere += len(self._records) + more
        self._records.clear()
        self._spilled = True
