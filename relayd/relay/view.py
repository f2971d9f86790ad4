"""The relay's handle on policy: the current snapshot, swapped in one assignment by `publish`.

Law: what of it is in every reply is made here, once a snapshot, and is the same for everybody.
"""

from __future__ import annotations

from relayd.core.snapshot import KeyGrant, Snapshot


class View:
    """Holds the snapshot that new exchanges are judged by; a running exchange keeps its grant.

    `line` names the privacy policy in force, as a field line; b"" before the first.
    """

    __slots__ = ("current", "line", "_budgeted")

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        self._budgeted: list[KeyGrant] = []
        self.publish(snapshot if snapshot is not None else Snapshot(0, {}))

    def publish(self, snapshot: Snapshot) -> None:
        """Replaces the snapshot; called by the watch job."""
        self.current = snapshot
        self._budgeted += snapshot.budgeted
        self.line = b""
        if snapshot.edition:
            self.line = b"relay-policy-version: %d\r\n" % snapshot.edition

    def take_budgeted(self) -> list[KeyGrant]:
        """Grants with budgets of their own that came since somebody asked."""
        found, self._budgeted = self._budgeted, []
        return found
