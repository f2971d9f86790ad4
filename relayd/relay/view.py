"""The relay's handle on policy: the current snapshot, swapped in one assignment by `publish`.

Law: what of it is in every reply is made here, once a snapshot, and is the same for everybody.
"""

from __future__ import annotations

from typing import Final

from relayd.core.snapshot import KeyGrant, Snapshot

BUDGETED_AT_ONCE: Final = 200
"""Grants with budgets that are looked at ahead of their calls: 5 ms each half second."""


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

    def take_budgeted(self, most: int = BUDGETED_AT_ONCE) -> list[KeyGrant]:
        """The next of the grants with budgets of their own that nobody has taken."""
        found, self._budgeted = self._budgeted[:most], self._budgeted[most:]
        return found
