"""How many calls a deployment may have at once, and who waits for a place. Pure.

Law: a place that was taken is given back once; the first that waits gets it. A waiter that left is
never given one.
"""

from __future__ import annotations

from collections.abc import Callable


class Permit:
    """One call's place, or its place in the queue: `held` turns true when `wake` is called."""

    __slots__ = ("_gate", "_wake", "held", "_done")

    def __init__(self, gate: Gate, wake: Callable[[], object]) -> None:
        self._gate = gate
        self._wake = wake
        self.held = False
        self._done = False

    def release(self) -> None:
        """The call is over, or waits no more; what follows the first time has no effect."""
        if not self._done:
            self._done = True
            self._gate._left(self)

    def grant(self) -> None:
        """The gate's alone: the place is there."""
        self.held = True
        self._wake()


class Gate:
    """Counts calls; `limit` 0 bounds nothing."""

    __slots__ = ("limit", "queue", "busy", "_waiting")

    def __init__(self, limit: int, queue: int) -> None:
        self.limit = limit
        self.queue = queue
        self.busy = 0
        self._waiting: dict[Permit, None] = {}

    @property
    def full(self) -> bool:
        """True where a call would have to wait."""
        return bool(self.limit) and self.busy >= self.limit

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def enter(self, wake: Callable[[], object]) -> Permit | None:
        """A place, held or waited for; None where the queue is full too."""
        permit = Permit(self, wake)
        if not self.full:
            self.busy += 1
            permit.held = True
            return permit
        if len(self._waiting) >= self.queue:
            return None
        self._waiting[permit] = None
        return permit

    def resize(self, limit: int, queue: int) -> None:
        """Other bounds; calls that are under way keep their places."""
        self.limit = limit
        self.queue = queue
        self._serve()

    def _left(self, permit: Permit) -> None:
        if permit.held:
            self.busy -= 1
            self._serve()
        else:
            self._waiting.pop(permit, None)

    def _serve(self) -> None:
        while self._waiting and not self.full:
            first = next(iter(self._waiting))
            del self._waiting[first]
            self.busy += 1
            first.grant()
