"""What one reading of a body goes by, and what it finds beside the fields themselves.

Law: a report names fields in the tables' words, or by names that a header can carry.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import msgspec

if TYPE_CHECKING:
    from relayd.wire.known import Known

DROPPED_MAX: Final = 24
"""Names in one report of what was dropped; more are told as `more`."""

PICTURED: Final = "\0pictured"
OPEN: Final = "\0open"
UNTOLD: Final = "\0untold"
MARKS: Final = frozenset({PICTURED, OPEN, UNTOLD})
"""Notes of wire/extent.py, kept among the dropped names; none of them can be a name."""

_NAME: Final = re.compile(r"[A-Za-z0-9_$.\[\]:=/-]{1,64}")


def printable(name: str) -> str:
    """A field's name as a report or a header may carry it; `unnamed` where it is not plain."""
    return name if _NAME.fullmatch(name) else "unnamed"


@dataclass(frozen=True, slots=True)
class BodyPolicy:
    """What `[privacy]` and `[billing]` say about bodies of one API.

    `pass_fields` are names no table knows.
    """

    unknown_fields: Literal["drop", "refuse", "pass"] = "drop"
    pass_fields: frozenset[str] = frozenset()
    end_user: Literal["absent", "account", "enduser"] = "absent"
    cache_key: Literal["absent", "hashed"] = "hashed"
    remote_mcp: Literal["off", "on"] = "off"
    paid_tiers: Literal["drop", "pass"] = "drop"


StandIn = tuple[str, Literal["end_user", "metadata", "cache_key", "inline"], str | None]
"""(field, what stands there, what the client said): made into a pseudonym for each attempt, or
into what the attempt's model has to be told (`inline`)."""


class Walk(msgspec.Struct, gc=False):
    """What one reading of a body finds beside the fields themselves.

    With `known` the values of some fields are texts (bytes) that were not read yet. `end_user` is
    whom the client named; `places` are objects within the body that name the model once more.
    """

    policy: BodyPolicy
    known: Known | None = None
    dropped: set[str] = set()
    end_user: str | None = None
    stand_ins: tuple[StandIn, ...] = ()
    places: list[dict[str, object]] = []
    stream: bool = False
    usage_asked: bool = False

    def __repr__(self) -> str:
        return "Walk(...)"

    def drop(self, name: str) -> None:
        """Notes a dropped field: at most DROPPED_MAX names, and only such as a header carries; or
        a mark."""
        if name in MARKS:
            self.dropped.add(name)
        elif len(self.dropped) < DROPPED_MAX:
            self.dropped.add(printable(name))
        else:
            self.dropped.add("more")
