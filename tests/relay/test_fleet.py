"""The fleet shows every route's deployments once, and how they stand at this moment."""

from __future__ import annotations

from relayd.core.health import TRIP_FAILURES
from relayd.core.route import Deployment, Route
from relayd.relay.fleet import fleet
from tests.fakes.daemon import plain_answer
from tests.fakes.faulty import providers, upstreams
from tests.relay.conftest import Opened
from tests.relay.test_plane import plane_of


async def test_what_stands_where(opened: Opened) -> None:
    routes = (
        Route("m", (Deployment("p0", concurrent=1, queue=2), Deployment("p1", "other", 3, 2))),
        Route("n-*", (Deployment("p0", drain=True),), aliases=("alias",), fallback=("m",)),
    )
    async with upstreams(*[plain_answer] * 3) as made:
        plane = plane_of(await opened(providers=providers(made), routes=routes))
        found = fleet(plane)
        assert [(each.name, each.up, each.in_use, each.credentials)
                for each in found.providers] == [
            ("p0", True, True, 1), ("p1", True, True, 1), ("p2", True, False, 1)]
        first, second = found.routes
        assert (first.name, second.name) == ("m", "n-*")
        assert second.aliases == ("alias",) and second.fallback == ("m",)
        assert [each.state for each in second.deployments] == ["draining"]
        bounded, other = first.deployments
        assert (bounded.provider, bounded.model, bounded.in_flight, bounded.waiting) == (
            "p0", None, 0, 0)
        assert (other.provider, other.model, other.weight, other.priority, other.in_flight) == (
            "p1", "other", 3, 2, None)
        assert bounded.first_byte_ms is None

        place, _ = plane.policy.plans["openai", "m"].places
        place.health.latency.observe(plane.now(), 0.25)
        for _ in range(TRIP_FAILURES):
            place.health.reach.failed(plane.now(), hard=True)
        found = fleet(plane)
        assert not found.providers[0].up
        assert found.routes[0].deployments[0].state == "cooling"
        assert found.routes[0].deployments[0].first_byte_ms == 250.0
