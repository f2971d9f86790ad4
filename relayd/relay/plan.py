"""Plans: a route's deployments that speak one API, with all that an attempt there needs.

Law: built once per policy and frozen but for what they point to: pools, health and gates, which go
over to the next policy where their provider has not changed.
"""

from __future__ import annotations

from collections.abc import Callable

from relayd.core.gate import Gate
from relayd.core.health import Health, Level, State
from relayd.core.provider import Provider
from relayd.core.retry import Budget
from relayd.core.route import Deployment, Route, Standing, order
from relayd.relay.pool import Pool

Cost = Callable[[str, str], int | None]
"""What a model costs at a provider, in any unit; None where nobody knows."""
LOAD_SECONDS_MIN = 0.001
"""What a deployment that was not measured yet is taken for, so that load counts there too."""


class Place:
    """One deployment as a route has it."""

    __slots__ = ("deployment", "provider", "pool", "health", "gate", "sends")

    def __init__(
        self, route: Route, deployment: Deployment, pool: Pool, health: Health, gate: Gate | None,
    ) -> None:
        self.deployment = deployment
        self.provider: Provider = pool.provider
        self.pool = pool
        self.health = health
        self.gate = gate
        self.sends = deployment.model or (None if route.is_pattern else route.pattern)
        """The model's name there; None: the one that was asked for."""

    def level(self, now: float) -> Level:
        """How much a call can expect of it now."""
        if self.deployment.drain:
            return Level.OUT
        level = self.health.level(now)
        if level is Level.READY and (
                self.gate is not None and self.gate.full or self.pool.hangs(now)):
            return Level.STRAINED
        return level

    def state(self, now: float) -> State:
        """Where it stands, for people."""
        return State.DRAINING if self.deployment.drain else self.health.state(now)

    def load_seconds(self) -> float:
        """The first byte's time, times the calls under way and this one (peak-EWMA)."""
        busy = 0 if self.gate is None else self.gate.busy
        return max(self.health.latency.seconds, LOAD_SECONDS_MIN) * (busy + 1)


class Plan:
    """A route's places for one API. `simple`: one place, with nothing to choose.

    `crosses`: some are outside China, and only for accounts that agreed to it.
    """

    __slots__ = ("route", "places", "budget", "simple", "deployments", "crosses")

    def __init__(self, route: Route, places: tuple[Place, ...]) -> None:
        self.route = route
        self.places = places
        self.deployments = tuple(place.deployment for place in places)
        self.crosses = any(place.provider.overseas for place in places)
        self.budget = Budget(route.retry_share)
        self.simple = (
            len(places) == 1 and places[0].gate is None and not places[0].deployment.drain
            and len(places[0].health.credentials) < 2 and not route.hedge_ms)

    def home(self) -> Plan:
        """The same without the places outside China."""
        return Plan(self.route, tuple(p for p in self.places if not p.provider.overseas))

    def order(
        self, now: float, dice: float, key: bytes | None, cost: Cost | None
    ) -> list[Place]:
        """The places in the order in which they are tried. `cost` is asked by `cheapest` alone."""
        places = self.places
        if len(places) == 1:
            return [] if places[0].level(now) is Level.OUT else [places[0]]
        standings = [
            Standing(place.level(now), place.load_seconds(),
                     None if cost is None else cost(place.provider.name, place.sends or ""))
            for place in places
        ]
        found = order(self.deployments, dice, standings, self.route.strategy, key)
        return [places[n] for n in found]

    def wait(self, now: float) -> float:
        """Seconds until one of its places may be worth a call."""
        return min((place.health.wait(now) for place in self.places
                    if not place.deployment.drain), default=0.0)
