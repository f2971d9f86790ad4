"""What the metrics read of the data plane at a scrape.

Law: reads, and costs no call anything; by names of the configuration alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from relayd.core.health import State
from relayd.ops.metrics import Gauges
from relayd.relay.plane import Plane


def fill(gauges: Gauges, plane: Plane) -> None:
    """Sets what can be read of the plane."""
    gauges.calls_in_flight = lambda: len(plane.inflight)
    gauges.client_connections = lambda: len(plane.connections)
    gauges.request_body_bytes = lambda: plane.overload.pending_bytes
    gauges.reply_buffer_bytes = lambda: sum(
        exchange.connection.transport.get_write_buffer_size() for exchange in plane.inflight)
    gauges.overload_refusals = lambda: plane.overload.refused
    gauges.connection_refusals = lambda: plane.addresses.refused
    gauges.limit_refusals = lambda: plane.admission.refused
    gauges.deployments = lambda: states(plane)
    gauges.provider_up = lambda: {
        name: plane.policy.health.is_up(pool.provider)
        for name, pool in plane.policy.pools.items()}
    gauges.credentials = lambda: _credentials(plane)
    gauges.queued_calls = lambda: _queued(plane)
    gauges.upstream_connections = lambda: {
        name: (pool.idle, pool.busy) for name, pool in plane.policy.pools.items()}


def states(plane: Plane) -> Mapping[tuple[str, str], int]:
    """How many deployments of each provider are in each state."""
    now = plane.now()
    counts = {(name, state.value): 0 for name in plane.policy.providers for state in State}
    for plan in plane.policy.plans.values():
        for place in plan.places:
            counts[place.provider.name, place.state(now).value] += 1
    return counts


def _credentials(plane: Plane) -> Mapping[tuple[str, str], int]:
    now = plane.now()
    found: Counter[tuple[str, str]] = Counter()
    # a record of health may serve several routes: its credentials count once
    healths = {id(place.health): place for plan in plane.policy.plans.values()
               for place in plan.places}
    for place in healths.values():
        name, credentials = place.provider.name, place.health.credentials
        ready = credentials.ready(now)
        found[name, "ready"] += ready
        found[name, "resting"] += len(credentials) - ready
    return found


def _queued(plane: Plane) -> Mapping[str, int]:
    found: Counter[str] = Counter(dict.fromkeys(plane.policy.pools, 0))
    gates = {id(place.gate): place for plan in plane.policy.plans.values()
             for place in plan.places if place.gate is not None}
    for place in gates.values():
        assert place.gate is not None
        found[place.provider.name] += place.gate.waiting
    return found
