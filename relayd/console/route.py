"""Routes: what is served, to whom, and what it takes and gives.

Law: a route without access cannot be made. Whoever has none gets the same answer, whether the
thing asked for exists or not. Area modules export `ROUTES`; `pages.py` collects them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from aiohttp import web

from relayd.core.actor import ROLES, Role

if TYPE_CHECKING:
    from relayd.console.visit import Visit  # noqa: F401 - names a type below

API_PREFIX: Final = "/api/v1/"
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Handler = Callable[["Visit"], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Access:
    """Who may use a route. `roles`: any of them will do; operators need a second factor too."""

    kind: Literal["public", "holder", "operator"]
    roles: frozenset[Role] = frozenset()


class Files(NamedTuple):
    """How many files a form may bring, and how large each may be."""

    most: int
    bytes_max: int


PUBLIC: Final = Access("public")
HOLDER: Final = Access("holder")
"""Anybody who is signed in, for what is their own."""


def operators(*roles: Role) -> Access:
    """Operators with one of these roles."""
    if not roles or not set(roles) <= set(ROLES):
        raise AssertionError("an operators' route names its roles")
    return Access("operator", frozenset(roles))


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """One method of one path, which may hold `{names}`.

    `takes`: a msgspec Struct, the fields of the form or the JSON body; anything else is 422.
    `asks`: the same for the query. `gives`: what the API answers with; `errors`: codes of its own.
    `proof`: the holder must have said lately who they are. `factors`: it changes how one signs in:
    an operator who has a second factor must have come by one. `closing`: also open to an account
    that waits for its erasure. `from_anywhere`: takes POST from others than its own pages, such as
    a payment partner, and reads the body itself. `files`: what its form brings, in those fields of
    `takes` that are bytes. `example`: values of the path's names, for tests that visit every page.
    """

    method: Method
    path: str
    handler: Handler
    access: Access
    summary: str
    takes: type | None = None
    asks: type | None = None
    gives: object = None
    status: int = 200
    errors: tuple[str, ...] = ()
    proof: bool = False
    factors: bool = False
    closing: bool = False
    from_anywhere: bool = False
    files: Files | None = None
    example: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_api(self) -> bool:
        """Whether it speaks JSON to programs."""
        return self.path.startswith(API_PREFIX)
