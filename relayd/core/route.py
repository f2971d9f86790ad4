"""Routes: which deployments serve a model name. Pure: (routes, model, dice) -> order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deployment:
    """One usable place. `model` None sends the requested name; a lower `priority` goes first."""

    provider: str
    model: str | None = None
    weight: int = 1
    priority: int = 1


@dataclass(frozen=True, slots=True)
class Route:
    """A model name, or a pattern with one or more `*`, and its deployments."""

    pattern: str
    deployments: tuple[Deployment, ...]

    @property
    def is_pattern(self) -> bool:
        """True where the name holds a `*`."""
        return "*" in self.pattern


@dataclass(frozen=True, slots=True)
class Routes:
    """All routes: exact names first, then patterns, the most specific one (longest) first."""

    exact: dict[str, Route]
    patterns: tuple[tuple[re.Pattern[str], Route], ...]

    @classmethod
    def of(cls, routes: Sequence[Route]) -> Routes:
        """Builds the table once per configuration."""
        patterns = sorted((r for r in routes if r.is_pattern), key=lambda r: -len(r.pattern))
        return cls(
            {r.pattern: r for r in routes if not r.is_pattern},
            tuple((_compiled(r.pattern), r) for r in patterns),
        )

    def find(self, model: str) -> Route | None:
        """The route of a model name, or None."""
        route = self.exact.get(model)
        if route is not None:
            return route
        for pattern, candidate in self.patterns:
            if pattern.fullmatch(model):
                return candidate
        return None


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")))


def order(deployments: Sequence[Deployment], dice: float) -> list[int]:
    """The order in which deployments are tried, as indexes: by priority, within one by weight.

    `dice` is in [0, 1): it picks the first of the best priority in proportion to its weight; the
    others of that priority follow in turn, then the lower priorities as they are listed.
    """
    best = min(d.priority for d in deployments)
    first = [n for n, d in enumerate(deployments) if d.priority == best]
    rest = [n for n, d in enumerate(deployments) if d.priority != best]
    rest.sort(key=lambda n: deployments[n].priority)
    mark = dice * sum(deployments[n].weight for n in first)
    at = 0
    for at, n in enumerate(first):
        mark -= deployments[n].weight
        if mark < 0:
            break
    return first[at:] + first[:at] + rest
