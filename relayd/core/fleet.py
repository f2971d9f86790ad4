"""The fleet: every provider and route of the configuration, and where each deployment stands now.

Law: names and figures that the relay shows its operator, and nothing of any client.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from relayd.core.provider import ProviderApi
from relayd.core.route import Strategy

Standing = Literal["healthy", "cooling", "down", "draining"]


class ProviderStanding(msgspec.Struct, frozen=True):
    """A provider. `up`: connections to it can be made; counts are of this moment."""

    name: str
    api: ProviderApi
    up: bool
    idle_connections: int
    busy_connections: int
    credentials: int
    in_use: bool


class DeploymentStanding(msgspec.Struct, frozen=True):
    """A deployment as its route has it. Times and counts are None where nobody measures them."""

    provider: str
    model: str | None
    weight: int
    priority: int
    state: Standing
    first_byte_ms: float | None
    in_flight: int | None
    waiting: int | None


class RouteStanding(msgspec.Struct, frozen=True):
    """A route, and its deployments in the order of the configuration."""

    name: str
    aliases: tuple[str, ...]
    strategy: Strategy
    fallback: tuple[str, ...]
    deployments: tuple[DeploymentStanding, ...]


class Fleet(msgspec.Struct, frozen=True):
    """All of it."""

    providers: tuple[ProviderStanding, ...]
    routes: tuple[RouteStanding, ...]


NO_FLEET = Fleet((), ())
