"""Where the health of deployments is kept, and the probes that look after it.

Law: one record per deployment, found by names from the configuration alone, so that no client can
make it grow. A reload keeps the records of providers that have not changed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Final

from relayd.core.gate import Gate
from relayd.core.health import Circuit, Health, State
from relayd.core.provider import Provider
from relayd.core.route import Deployment, Route
from relayd.ops.beat import Beat
from relayd.ops.clock import monotonic
from relayd.relay.pool import Opening, Pool

if TYPE_CHECKING:
    from relayd.relay.plane import Plane

PROBE_STEP_SECONDS: Final = 0.25
NO_PROBE_SECONDS: Final = 1.0
"""How often it is asked whether a provider wants probes, where none does."""


class HealthBook:
    """Records of health, by provider and model; those of `kept` providers come from `old`."""

    def __init__(self, old: HealthBook | None = None, kept: Collection[str] = ()) -> None:
        self._old = old
        self._kept = frozenset(kept)
        self._reach: dict[str, Circuit] = {}
        self._healths: dict[tuple[str, str], Health] = {}
        self._gates: dict[tuple[str, str, str], Gate] = {}

    def seal(self) -> None:
        """Everything has been taken over: the old book can go."""
        self._old = None

    def reach(self, provider: Provider) -> Circuit:
        """Whether a provider can be reached: one circuit for all its deployments."""
        name = provider.name
        if name not in self._reach:
            old = self._before(name)
            found = None if old is None else old._reach.get(name)
            self._reach[name] = found or Circuit()
        return self._reach[name]

    def is_up(self, provider: Provider) -> bool:
        """Whether it could be reached when that was last tried."""
        return self.reach(provider).state is State.HEALTHY

    def health(self, provider: Provider, model: str) -> Health:
        """The record of a deployment; `model` is a name or the pattern of its route."""
        key = provider.name, model
        if key not in self._healths:
            reach = self.reach(provider)  # of a kept record too: probes ask this book for it
            old = self._before(provider.name)
            found = None if old is None else old._healths.get(key)
            self._healths[key] = found or Health(reach, len(provider.credentials))
        return self._healths[key]

    def gate(self, route: Route, deployment: Deployment) -> Gate | None:
        """The gate of a deployment that has a bound or is chosen by its load."""
        if not deployment.concurrent and route.strategy != "least-latency":
            return None
        key = route.pattern, deployment.provider, deployment.model or ""
        if key not in self._gates:
            old = self._before(deployment.provider)
            found = None if old is None else old._gates.get(key)
            gate = self._gates[key] = found or Gate(0, 0)
            gate.resize(deployment.concurrent, deployment.queue)
        return self._gates[key]

    def _before(self, provider: str) -> HealthBook | None:
        """The book that has this provider's records; None where they begin anew."""
        return self._old if provider in self._kept else None


class Prober:
    """Opens a connection to each provider that wants it every `probe_seconds`: no call, no cost.

    What it finds counts for the provider's circuit; a connection that was opened is kept for the
    next call where none is waiting for it.
    """

    def __init__(self, plane: Plane, now: Callable[[], float] = monotonic) -> None:
        self._plane = plane
        self._now = now
        self._due: dict[str, float] = {}
        self._open: dict[str, Opening] = {}

    async def run(self) -> None:
        """Runs until cancelled."""
        beat = Beat(PROBE_STEP_SECONDS)
        while await beat.wait():
            self.once()
            wanted = any(pool.provider.probe_seconds for pool in self._plane.policy.pools.values())
            beat.seconds = PROBE_STEP_SECONDS if wanted else NO_PROBE_SECONDS

    def once(self) -> None:
        """Starts the probes that are due."""
        now = self._now()
        policy = self._plane.policy
        for name, pool in policy.pools.items():
            every = pool.provider.probe_seconds
            if every and now >= self._due.get(name, 0.0) and name not in self._open:
                self._due[name] = now + every
                self._probe(name, pool, policy.health.reach(pool.provider))

    def _probe(self, name: str, pool: Pool, reach: Circuit) -> None:
        if pool.full:
            return  # as many connections as may be: it is reached

        def done() -> None:
            opening = self._open.pop(name)
            if opening.connection is not None:
                if pool.idle:
                    opening.connection.abort()
                else:
                    pool.give_back(opening.connection)
                reach.answered()
            elif opening.error is not None and opening.error.kind.side == "upstream":
                reach.failed(self._now(), hard=True)

        self._open[name] = pool.open(done)
