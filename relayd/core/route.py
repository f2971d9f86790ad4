"""Routes: which deployments serve a model name. Pure: (routes, model, dice) -> order."""

from __future__ import annotations

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
