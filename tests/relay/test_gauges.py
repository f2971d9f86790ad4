"""What the metrics read of a plane, while calls are under way and after."""

from __future__ import annotations

from dataclasses import replace

from relayd.core.health import TRIP_FAILURES
from relayd.core.limit import Limits
from relayd.core.route import Deployment, Route
from relayd.ops.config import LimitsConfig
from relayd.ops.metrics import Gauges
from relayd.relay.gauges import fill
from tests.fakes.daemon import provider
from tests.fakes.faulty import providers, upstreams
from tests.relay.conftest import Opened
from tests.relay.test_plane import plane_of

TWO = ("first", "second")


async def test_what_is_read_of_a_plane(opened: Opened) -> None:
    bounded = Deployment("p0", concurrent=1, queue=2)
    async with upstreams() as made:
        found = {name: replace(each, credentials=TWO) for name, each in providers(made).items()}
        lane = await opened(providers=found, routes=(
            Route("m", (bounded, Deployment("p1"))), Route("n", (Deployment("p1"),))))
        plane = plane_of(lane)
        gauges = Gauges()
        fill(gauges, plane)
        assert gauges.provider_up() == {"p0": True, "p1": True}
        assert gauges.calls_in_flight() == gauges.client_connections() == 0
        assert gauges.request_body_bytes() == gauges.reply_buffer_bytes() == 0
        first, second = plane.policy.plans["openai", "m"].places
        assert gauges.credentials() == {
            ("p0", "ready"): 2, ("p0", "resting"): 0, ("p1", "ready"): 4, ("p1", "resting"): 0}
        second.health.credentials.rest(0, plane.now(), 60.0)
        for _ in range(TRIP_FAILURES):
            first.health.reach.failed(plane.now(), hard=True)
        assert gauges.credentials()["p1", "resting"] == 1
        assert gauges.provider_up() == {"p0": False, "p1": True}
        assert gauges.deployments()["p0", "cooling"] == 1
        assert first.gate is not None
        permits = [first.gate.enter(lambda: None) for _ in range(3)]
        assert gauges.queued_calls() == {"p0": 2, "p1": 0}
        for permit in permits:
            assert permit is not None
            permit.release()
        assert gauges.queued_calls() == {"p0": 0, "p1": 0}
        assert set(gauges.overload_refusals().values()) == {0}
        plane.overload.pending_bytes += 5
        assert gauges.request_body_bytes() == 5
        plane.overload.pending_bytes -= 5


async def test_limits_that_were_in_the_way(opened: Opened) -> None:
    lane = await opened(limits=LimitsConfig(
        requests_per_minute=1, models={"m": Limits(concurrent=1)}))
    gauges = Gauges()
    fill(gauges, plane_of(lane))
    assert set(gauges.limit_refusals().values()) == {0}
    assert ("account", "requests_per_minute") in gauges.limit_refusals()
    assert len(gauges.limit_refusals()) == 3 * len(Limits._fields)
    assert provider("openai", 1).name in gauges.provider_up()
