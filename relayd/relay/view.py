"""The relay's handle on policy: the current snapshot, swapped in one assignment by `publish`.

Law: what of it is in every reply is made here, once a snapshot, and is the same for everybody.
"""

from __future__ import annotations

from relayd.core.snapshot import Snapshot


class View:
    """Holds the snapshot that new exchanges are judged by; a running exchange keeps its grant.

    `line` names the privacy policy in force, as a field line; b"" before the first.
    """

    __slots__ = ("current", "line")

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        self.publish(snapshot if snapshot is not None else Snapshot(0, {}))

    def publish(self, snapshot: Snapshot) -> None:
        """Replaces the snapshot; called by the watch job."""
        self.current = snapshot
        self.line = b""
        if snapshot.edition:
            self.line = b"relay-policy-version: %d\r\n" % snapshot.edition
