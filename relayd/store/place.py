"""Places: whether files that are open are still where whoever opens them next will look.

What a program writes to a file that was deleted, replaced, moved away or covered by a mount
succeeds, and is not found again. SQLite judges the same way, but with a WAL only as it closes.

Law: only looks, by `stat`. To open a database's file beside SQLite and close it drops its locks.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

Identity = tuple[int, int]
"""The device and the inode of a file: no other one has them while it is open."""


def identity(path: Path | int) -> Identity:
    """Which file is at a path, or behind a descriptor; raises OSError."""
    found = os.stat(path)
    return found.st_dev, found.st_ino


def is_at(path: Path, known: Identity) -> bool:
    """Whether this file is at this path; not where the path cannot be followed."""
    try:
        return identity(path) == known
    except OSError:
        return False


class Places:
    """Files as they were when this was made: those of the paths that were there."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._known = [(path, identity(path)) for path in paths if path.exists()]

    def kept(self) -> bool:
        """Whether each is still there: some 2 us for each."""
        return all(is_at(path, known) for path, known in self._known)
