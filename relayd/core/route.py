"""Routes: which deployments serve a model name, in which order. Pure: (route, standings, dice).

Law: health comes first, then the operator's priorities, then the route's strategy; a deployment
that is OUT is in no order.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from heapq import nsmallest
from typing import Final, Literal, NamedTuple

from relayd.core.health import Level
from relayd.core.provider import DataTerms
from relayd.core.retry import RETRY_SHARE, Reason
from relayd.core.wildcard import Wildcard

Strategy = Literal["weighted", "least-latency", "cheapest"]

QUEUE_SECONDS: Final = 5.0
NEAREST_MAX: Final = 3
ALIKE_MIN: Final = 0.5
ASKED_LENGTH: Final = 64
"""So much of a name is looked at."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """One usable place. `model` None sends the requested name; a lower `priority` goes first.

    At most `concurrent` calls at once (0: no bound), further `queue` ones wait for up to
    `queue_seconds`. `drain`: it takes no new calls. `terms` None: the provider's.
    """

    provider: str
    model: str | None = None
    weight: int = 1
    priority: int = 1
    concurrent: int = 0
    queue: int = 0
    queue_seconds: float = QUEUE_SECONDS
    drain: bool = False
    terms: DataTerms | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """A model name, or a pattern with one or more `*`, and its deployments.

    `aliases` are other names of it. `sticky`: calls of one conversation go to one deployment.
    `fallback` are models that are tried where this one fails for a reason in `fallback_on`.
    `retries`: how often a call goes over its deployments again, after a wait. `retry_share`: of
    its calls, how many more attempts may be made. `hedge_ms`: after so long without an answer a
    second deployment is asked too; 0: never.
    """

    pattern: str
    deployments: tuple[Deployment, ...]
    aliases: tuple[str, ...] = ()
    strategy: Strategy = "weighted"
    sticky: bool = False
    fallback: tuple[str, ...] = ()
    fallback_on: tuple[Reason, ...] = ("unavailable",)
    retries: int = 1
    retry_share: float = RETRY_SHARE
    hedge_ms: int = 0

    @property
    def is_pattern(self) -> bool:
        """True where the name holds a `*`."""
        return "*" in self.pattern


@dataclass(frozen=True, slots=True)
class Routes:
    """All routes: exact names first, then patterns, the most specific one (longest) first."""

    exact: dict[str, Route]
    patterns: tuple[tuple[Wildcard, Route], ...]

    @classmethod
    def of(cls, routes: Sequence[Route]) -> Routes:
        """Builds the table once per configuration."""
        patterns = sorted((r for r in routes if r.is_pattern), key=lambda r: -len(r.pattern))
        aliases = {alias: r for r in routes for alias in r.aliases}
        return cls(
            {**aliases, **{r.pattern: r for r in routes if not r.is_pattern}},
            tuple((Wildcard(r.pattern), r) for r in patterns),
        )

    def find(self, model: str) -> Route | None:
        """The route of a model name, or None."""
        route = self.exact.get(model)
        if route is not None:
            return route
        for pattern, candidate in self.patterns:
            if pattern.stands_for(model):
                return candidate
        return None


def _pairs(name: str) -> frozenset[str]:
    name = name[:ASKED_LENGTH].lower()
    return frozenset(name[at:at + 2] for at in range(len(name) - 1))


_known_pairs: Final = lru_cache(maxsize=1024)(_pairs)
"""Of the operator's names alone: nothing that a client wrote is kept."""


def nearest(asked: str, names: Iterable[str]) -> list[str]:
    """The `NEAREST_MAX` names at most that share most pairs of letters with what was asked for,
    the likest first (Dice's coefficient, 0.5 and more)."""
    wanted = _pairs(asked)
    scores = []
    for name in names:
        pairs = _known_pairs(name)
        score = 2 * len(wanted & pairs) / (len(wanted) + len(pairs) or 1)
        if score >= ALIKE_MIN:
            scores.append((-score, name))
    return [name for _, name in nsmallest(NEAREST_MAX, scores)]


class Standing(NamedTuple):
    """What counts of a deployment at this moment: the lower, the better. `cost` None: unknown."""

    level: Level = Level.READY
    load_seconds: float = 0.0
    cost: int | None = None


FINE: Final = Standing()


def order(
    deployments: Sequence[Deployment], dice: float, standings: Sequence[Standing] = (),
    strategy: Strategy = "weighted", key: bytes | None = None,
) -> list[int]:
    """The order in which deployments are tried, as indexes; those that are OUT are left out.

    Health decides first, so that what is strained comes after a healthy deployment of a lower
    priority; then priority; then `key`, where there is one: the same key has the same favourite
    while it is healthy, and what another one takes over is spread by weight; then the strategy.
    `dice` is in [0, 1): weighted choice picks the first in proportion to its weight, the others
    follow in turn.
    """
    standings = standings or [FINE] * len(deployments)
    groups: dict[tuple[int, int], list[int]] = {}
    for n, (deployment, standing) in enumerate(zip(deployments, standings, strict=True)):
        if standing.level is not Level.OUT:
            groups.setdefault((standing.level, deployment.priority), []).append(n)
    found: list[int] = []
    for group in sorted(groups):
        members = groups[group]
        if len(members) > 1:
            members = _by_weight(deployments, members, dice)
            if key is not None:
                members = _by_key(deployments, members, key)
            elif strategy == "least-latency":
                members.sort(key=lambda n: standings[n].load_seconds)
            elif strategy == "cheapest":
                members.sort(key=lambda n: _cost(standings[n]))
        found += members
    return found


def _cost(standing: Standing) -> tuple[bool, int]:
    return standing.cost is None, standing.cost or 0


def _by_weight(deployments: Sequence[Deployment], members: list[int], dice: float) -> list[int]:
    mark = dice * sum(deployments[n].weight for n in members)
    at = 0
    for at, n in enumerate(members):
        mark -= deployments[n].weight
        if mark < 0:
            break
    return members[at:] + members[:at]


def _by_key(deployments: Sequence[Deployment], members: list[int], key: bytes) -> list[int]:
    """Weighted rendezvous hashing: a deployment that goes or comes moves only its own calls."""
    def distance(n: int) -> float:
        place = f"{deployments[n].provider}\0{deployments[n].model or ''}".encode()
        drawn = int.from_bytes(blake2b(place, digest_size=8, key=key[:64]).digest(), "big")
        return -math.log((drawn + 1) / 2 ** 64) / deployments[n].weight

    return sorted(members, key=distance)
