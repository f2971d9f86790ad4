"""What every page has around it: the menu, the footer, banners, who operates this service.

Law: the menu shows what the visitor may open, and nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from relayd.console.route import PUBLIC, Access

if TYPE_CHECKING:
    from relayd.console.visit import Visit


class Item(NamedTuple):
    """A link of the menu or the footer. `text` names a text; `access` is the page's own.

    `group` names the text of the part of the menu that it is in; `others` are paths that are not
    below its own and belong to it all the same.
    """

    path: str
    text: str
    access: Access = PUBLIC
    group: str = "menu.account"
    others: tuple[str, ...] = ()

    def holds(self, path: str) -> bool:
        """Whether the page at this path is its own or one below."""
        return any(path == each or path.startswith(f"{each}/")
                   for each in (self.path, *self.others))


class Banner(NamedTuple):
    """A line above the page. `kind`: notice, warning or bad."""

    kind: str
    text: str
    path: str = ""
    link: str = ""


def _nobody(visit: Visit) -> Sequence[str]:
    return ()


async def _quiet(visit: Visit) -> Sequence[Banner]:
    return ()


async def _open(visit: Visit) -> None:
    pass


async def _plain(visit: Visit) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class Frame:
    """`admit` may refuse a visit before its handler; `banners` is asked before a page is made;
    `identity` gives lines for the footer, `headers` those of answers to programs."""

    items: Sequence[Item] = ()
    links: Sequence[Item] = ()
    banners: Callable[[Visit], Awaitable[Sequence[Banner]]] = _quiet
    identity: Callable[[Visit], Sequence[str]] = _nobody
    admit: Callable[[Visit], Awaitable[None]] = _open
    headers: Callable[[Visit], Awaitable[Mapping[str, str]]] = _plain

    def groups(self, visit: Visit) -> list[tuple[str, list[Item]]]:
        """The menu for this visitor, part by part; nothing for who is not signed in."""
        found: dict[str, list[Item]] = {}
        for item in self.items:
            if visit.who is not None and may_open(visit, item.access):
                found.setdefault(item.group, []).append(item)
        return list(found.items())

    def leads(self, visit: Visit, path: str) -> bool:
        """Whether this page is in the visitor's menu: a link to it, or to one below it, opens."""
        return any(item.path == path and may_open(visit, item.access) for item in self.items)


def may_open(visit: Visit, access: Access) -> bool:
    """Whether the visitor has what a page of this access asks for."""
    if access.kind == "public":
        return True
    who = visit.who
    if who is None or who.session.stage != "open":
        return False
    return access.kind == "holder" or not who.roles.isdisjoint(access.roles)
