"""Plans: a route's deployments that speak one API, with all that an attempt there needs.

Law: built once per policy and frozen but for what they point to: pools, health and gates, which go
over to the next policy where their provider has not changed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import or_
from typing import Final

from relayd.core.errors import RelayError
from relayd.core.gate import Gate
from relayd.core.health import Health, Level, State
from relayd.core.provider import Provider, together
from relayd.core.retry import Budget
from relayd.core.route import Deployment, Route, Standing, order
from relayd.core.snapshot import KeyGrant
from relayd.relay.pool import Pool

OVERSEAS: Final = 1
TRAINING: Final = 2
"""Consents, as bits; the smaller one is asked for first."""
EVERY_CONSENT: Final = range(4)
Cost = Callable[[str, str], int | None]
"""What a model costs at a provider, in any unit; None where nobody knows."""
LOAD_SECONDS_MIN: Final = 0.001
"""What a deployment that was not measured yet is taken for, so that load counts there too."""


def given(grant: KeyGrant) -> int:
    """The consents of an account, as bits."""
    return OVERSEAS * grant.overseas | TRAINING * grant.training


def consent_error(lacking: int) -> RelayError:
    """What a call is told where these consents are missing: of the first one."""
    return RelayError("cross_border_consent_required" if lacking & OVERSEAS
                      else "training_consent_required", param="model")


def require(grant: KeyGrant, asks: int) -> None:
    """Raises for the first of these consents that an account has not given."""
    lacking = asks & ~given(grant)
    if lacking:
        raise consent_error(lacking)


class Place:
    """One deployment as a route has it."""

    __slots__ = ("deployment", "provider", "pool", "health", "gate", "sends", "terms", "asks",
                 "keeps_unless_told")

    def __init__(
        self, route: Route, deployment: Deployment, pool: Pool, health: Health, gate: Gate | None,
        *, strict: bool = False,
    ) -> None:
        self.deployment = deployment
        self.provider: Provider = pool.provider
        self.terms = deployment.terms or self.provider.terms
        trains = self.terms.trains == "yes" or strict and self.terms.trains == "unknown"
        self.asks = OVERSEAS * self.provider.overseas | TRAINING * trains
        """The consents without which nothing goes there."""
        self.keeps_unless_told = self.provider.keeps_unless_told
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

    def load_seconds(self, now: float) -> float:
        """The first byte's time, times the calls under way and this one (peak-EWMA)."""
        busy = 0 if self.gate is None else self.gate.busy
        return max(self.health.latency.expected(now), LOAD_SECONDS_MIN) * (busy + 1)


Step = tuple[Place, str]
"""A place, and the name of the model that is sent there."""


class Plan:
    """A route's places for one API. `simple`: one place, with nothing to choose.

    `asks`: the consents that some of them need, 0 for most plans. `terms`: what becomes of
    content there.
    """

    __slots__ = ("route", "places", "budget", "simple", "deployments", "asks", "terms")

    def __init__(self, route: Route, places: tuple[Place, ...]) -> None:
        self.route = route
        self.places = places
        self.deployments = tuple(place.deployment for place in places)
        self.asks = reduce(or_, (place.asks for place in places), 0)
        self.terms = together(place.terms for place in places)
        self.budget = Budget(route.retry_share)
        self.simple = (
            len(places) == 1 and places[0].gate is None and not places[0].deployment.drain
            and not places[0].health.credentials.many and not route.hedge_ms)

    def within(self, given: int) -> Plan:
        """The same without the places that need other consents than those given."""
        return Plan(self.route, tuple(p for p in self.places if not p.asks & ~given))

    def lacking(self, given: int) -> int:
        """The consents that are missing for the place that needs the fewest."""
        return min((place.asks & ~given for place in self.places), default=0)

    def order(
        self, now: float, dice: float, key: bytes | None, cost: Cost | None
    ) -> list[Place]:
        """The places in the order in which they are tried. `cost` is asked by `cheapest` alone."""
        places = self.places
        if len(places) == 1:
            return [] if places[0].level(now) is Level.OUT else [places[0]]
        timed = self.route.strategy == "least-latency"
        standings = [
            Standing(place.level(now), place.load_seconds(now) if timed else 0.0,
                     None if cost is None else cost(place.provider.name, place.sends or ""))
            for place in places
        ]
        found = order(self.deployments, dice, standings, self.route.strategy, key)
        return [places[n] for n in found]

    def wait(self, now: float) -> float:
        """Seconds until one of its places may be worth a call."""
        return min((place.health.wait(now) for place in self.places
                    if not place.deployment.drain), default=0.0)
