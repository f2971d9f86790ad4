"""What happened to one case, on both sides of the relay, as the judges take it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.fakes.rawhttp import Reply, Request


@dataclass(slots=True)
class ClientSide:
    """What the client saw. `second` is the reply to the next ordinary request, if one was sent."""

    replies: list[Reply] = field(default_factory=list)
    informational: list[int] = field(default_factory=list)
    closed: bool = False
    garbage: str = ""
    second: Reply | None = None

    @property
    def statuses(self) -> list[int]:
        """The statuses of the final replies, in order."""
        return [reply.status for reply in self.replies]

    @property
    def first(self) -> Reply | None:
        """The first final reply."""
        return self.replies[0] if self.replies else None


@dataclass(frozen=True, slots=True)
class UpstreamSide:
    """What the upstream saw: whole requests, rules broken by others, and all bytes."""

    requests: Sequence[Request] = ()
    malformed: Sequence[str] = ()
    received: bytes = b""
