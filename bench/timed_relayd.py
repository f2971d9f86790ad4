"""`python -m bench.timed_relayd OUT WORDS...`: relayd, with a watch on its journal.

Every call's opening and close are timed where the event loop makes them; the times, in
nanoseconds, are written to OUT at the end. What the watch itself takes is in them.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from relayd import app
from relayd.cli import main
from relayd.core.journal import Opening
from relayd.core.record import CallRecord
from relayd.store.journal import JournalWriter

plain_open: Final = JournalWriter.open
plain_close: Final = JournalWriter.close
plain_close_all: Final = JournalWriter.close_all
"""Called as the relay calls them: `super()` takes 0.5 µs each time where caches are cold."""
OPENED: dict[str, int] = {}
TAKEN: list[tuple[int, int]] = []
"""Of each call: its opening, its close."""


class Timed(JournalWriter):
    """The journal, timed; calls that were never opened are left out."""

    def open(self, opening: Opening) -> None:
        """As ever."""
        began = time.perf_counter_ns()
        plain_open(self, opening)
        OPENED[opening.id] = time.perf_counter_ns() - began

    def close(self, record: CallRecord) -> None:
        """As ever."""
        began = time.perf_counter_ns()
        plain_close(self, record)
        _note(record, time.perf_counter_ns() - began)

    def close_all(self, records: Sequence[CallRecord]) -> None:
        """As ever; each call has its share."""
        began = time.perf_counter_ns()
        plain_close_all(self, records)
        share = (time.perf_counter_ns() - began) // len(records)
        for record in records:
            _note(record, share)


def _note(record: CallRecord, taken: int) -> None:
    opened = OPENED.pop(record.id, None)
    if opened is not None:
        TAKEN.append((opened, taken))


if __name__ == "__main__":
    app.JournalWriter = Timed  # type: ignore[misc]
    code = main(sys.argv[2:])
    Path(sys.argv[1]).write_text(json.dumps(TAKEN), "utf-8")
    sys.exit(code)
