"""Changes: whether anybody has written to the store since it was last looked into.

SQLite counts the commits of all processes for each connection that asks. The answer comes from
memory that they share: 3 us, where a transaction wakes a thread three times. So a job that looks
often asks here first, and looks when something has been committed, and now and then anyway.

Law: no commit is missed. A store that cannot be asked counts as changed: the look itself will say
what is wrong.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from relayd.ops.clock import monotonic

LOOK_SECONDS: Final = 60.0
"""After so long a job looks anyway, so that it sees a store that fails."""
CLOCK_SECONDS: Final = 15.0
"""The same for jobs that have something to do at a moment which nobody writes down then."""


class Changes:
    """The store's own count of commits, on a connection that never reads a row or writes one.

    It is opened by the first question: commands ask none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def count(self) -> int | None:
        """Another number after each commit, of whatever process; None where it is not known."""
        try:
            connection = self._connection
            if connection is None:
                connection = self._connection = _connect(self._path)
            row = connection.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:
            return None
        return int(row[0])

    def close(self) -> None:
        """Ask no more; before the store's own connections are closed."""
        if self._connection is not None:
            self._connection.close()


def _connect(path: Path) -> sqlite3.Connection:
    # it waits for nobody: it is asked on the event loop
    return sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)


class News:
    """What one job has seen: `due()` before it looks, `seen()` after it looked without a fault."""

    __slots__ = ("_changes", "_seconds", "_asked", "_seen", "_look_at")

    def __init__(self, changes: Changes, seconds: float = LOOK_SECONDS) -> None:
        self._changes = changes
        self._seconds = seconds
        self._asked: int | None = None
        self._seen: int | None = None
        self._look_at = 0.0

    def due(self) -> bool:
        """Whether to look: there was a commit since, or none is known of for a while."""
        self._asked = self._changes.count()
        return self._asked is None or self._asked != self._seen or monotonic() >= self._look_at

    def seen(self) -> None:
        """The look is done: what was committed before `due()` is known."""
        self._seen = self._asked
        self._look_at = monotonic() + self._seconds
