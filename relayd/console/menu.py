"""The main menu: which pages it names, for whom.

Law: an entry names a page that is served with the same access; a test holds both together. Nobody
sees an entry that they may not follow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from relayd.core.actor import Role

if TYPE_CHECKING:
    from relayd.console.visit import Visit


@dataclass(frozen=True, slots=True)
class Entry:
    """A page, and the name of its text. `roles` empty: every holder."""

    path: str
    text: str
    roles: frozenset[Role] = frozenset()

    def holds(self, path: str) -> bool:
        """Whether this page is part of what the entry names."""
        return path == self.path or path.startswith(self.path + "/")


@dataclass(frozen=True, slots=True)
class Group:
    """Entries that belong together."""

    text: str
    entries: tuple[Entry, ...]


SUPPORT: Final[frozenset[Role]] = frozenset({"support", "security", "owner"})
"""Who may look for accounts."""
RUN: Final[frozenset[Role]] = frozenset({"owner", "support", "security"})
"""Who may see how the relay itself does."""
MONEY: Final[frozenset[Role]] = frozenset({"owner", "finance", "support"})
"""Who may see all prices."""
LOGS: Final[frozenset[Role]] = frozenset({"security", "legal", "owner"})
"""Who may read the audit log."""

MENU: Final = (
    Group("menu.use", (
        Entry("/overview", "menu.overview"),
        Entry("/keys", "menu.keys"),
        Entry("/usage", "menu.series"),
        Entry("/calls", "menu.calls"),
        Entry("/models", "menu.models"),
        Entry("/connect", "menu.connect"),
    )),
    Group("menu.account", (
        Entry("/settings", "menu.settings"),
    )),
    Group("menu.operate", (
        Entry("/operate/accounts", "menu.accounts", SUPPORT),
        Entry("/operate/providers", "menu.fleet", RUN),
        Entry("/operate/prices", "menu.prices", MONEY),
        Entry("/operate/audit", "menu.audit", LOGS),
        Entry("/operate/system", "menu.system", RUN),
    )),
)


def menu(visit: Visit) -> list[Group]:
    """What this visitor may go to; nothing for who is not signed in."""
    who = visit.who
    if who is None or who.session.stage != "open":
        return []
    shown = [
        Group(group.text, tuple(entry for entry in group.entries
                                if not entry.roles or entry.roles & who.roles))
        for group in MENU]
    return [group for group in shown if group.entries]
