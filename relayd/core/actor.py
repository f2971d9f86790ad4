"""The actor: who does something, as the audit log names it.

Law: everybody is a holder of their own account; what reaches further is a role that somebody gave.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Role = Literal["owner", "support", "finance", "security", "legal"]
ROLES: Final[tuple[Role, ...]] = ("owner", "support", "finance", "security", "legal")
"""The operators' roles. `owner` may give roles; it has no other's rights by itself."""

Via = Literal["console", "api", "shell", "system"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, by which way. `account` None: the shell's user, or a job of relayd itself."""

    account: str | None
    roles: frozenset[Role] = frozenset()
    via: Via = "console"

    def has(self, *roles: Role) -> bool:
        """Whether the actor holds one of these roles."""
        return not self.roles.isdisjoint(roles)


SHELL: Final = Actor(None, frozenset(ROLES), "shell")
"""Whoever can run commands on the store has every right there is."""
SYSTEM: Final = Actor(None, frozenset(), "system")
