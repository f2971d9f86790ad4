"""Calls as their owner looks for them: which ones, newest first, and how they went.

Law: a place in the list is a call's start and its id, so that new calls never shift a page.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, get_args

from relayd.core.errors import RelayError
from relayd.core.usage import Outcome

OUTCOMES: Final[tuple[str, ...]] = get_args(Outcome)
FAILED: Final = frozenset({"provider_error", "provider_truncated", "interrupted"})
"""Outcomes that are nobody's wish; `refused` is told apart, `client_left` is the client's."""
_PLACE: Final = re.compile(r"([0-9a-f]{1,12})_([0-9A-Z]{26})", re.ASCII)


class Place(NamedTuple):
    """A call's place in time."""

    started_at_ms: int
    id: str

    def text(self) -> str:
        """As it stands in a link: never 13 digits, which might be taken for a card's number."""
        return f"{self.started_at_ms:x}_{self.id}"


def parse_place(text: str) -> Place:
    """The place that a link names; raises RelayError `invalid_value`."""
    match = _PLACE.fullmatch(text)
    if match is None:
        raise RelayError("invalid_value", param="before")
    return Place(int(match[1], 16), match[2])


@dataclass(frozen=True, slots=True)
class CallSearch:
    """Which calls of one account: started in [since_ms, until_ms), None: all values."""

    account: str
    since_ms: int
    until_ms: int
    key: str | None = None
    model: str | None = None
    outcome: str | None = None


class Brief(NamedTuple):
    """Of a call no more than how it went."""

    outcome: str
    first_byte_ms: float | None


class Figures(NamedTuple):
    """How calls went. `of` them were looked at; times are None where none has one."""

    of: int
    failed: int
    refused: int
    first_byte_p50_ms: float | None
    first_byte_p95_ms: float | None


def figures(briefs: Sequence[Brief]) -> Figures:
    """The figures of these calls; a quantile is the nearest rank's value."""
    outcomes = Counter(brief.outcome for brief in briefs)
    times = sorted(brief.first_byte_ms for brief in briefs if brief.first_byte_ms is not None)
    return Figures(
        of=len(briefs),
        failed=sum(outcomes[outcome] for outcome in FAILED),
        refused=outcomes["refused"],
        first_byte_p50_ms=_ranked(times, 50),
        first_byte_p95_ms=_ranked(times, 95),
    )


def _ranked(values: Sequence[float], percent: int) -> float | None:
    if not values:
        return None
    return values[max(0, -(-len(values) * percent // 100) - 1)]
