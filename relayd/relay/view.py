"""The relay's handle on policy: the current snapshot, swapped in one assignment by `publish`."""

from __future__ import annotations

from relayd.core.snapshot import Snapshot


class View:
    """Holds the snapshot that new exchanges are judged by; a running exchange keeps its grant."""

    __slots__ = ("current",)

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        self.current = snapshot if snapshot is not None else Snapshot(0, {})

    def publish(self, snapshot: Snapshot) -> None:
        """Replaces the snapshot; called by the watch job."""
        self.current = snapshot
