"""Where health is kept over reloads, and probes that find a provider before a call does."""

from __future__ import annotations

import asyncio

from relayd.core.health import TRIP_FAILURES, State
from relayd.core.route import Deployment, Route
from relayd.relay.gauges import states
from relayd.relay.health import HealthBook, Prober
from tests.fakes.daemon import plain_answer, provider
from tests.fakes.faulty import SHORT, providers, upstreams
from tests.relay.conftest import Opened
from tests.relay.test_plane import plane_of

P, Q = provider("openai", 1, name="p"), provider("openai", 2, name="q")
BOUNDED = Deployment("p", concurrent=2, queue=3)


def test_what_is_kept_and_what_is_new() -> None:
    route = Route("m", (BOUNDED,))
    old = HealthBook()
    p, q, gate = old.health(P, "m"), old.health(Q, "m"), old.gate(route, BOUNDED)
    assert old.health(P, "m") is p and p.reach is old.health(P, "n").reach is not q.reach
    assert gate is not None and old.gate(route, Deployment("p")) is None
    new = HealthBook(old, ("p",))
    wider = Deployment("p", concurrent=9)
    assert new.health(P, "m") is p and new.health(Q, "m") is not q
    assert new.gate(route, wider) is gate and (gate.limit, gate.queue) == (9, 0)
    new.seal()
    assert new.health(P, "m") is p and new.health(P, "later") is not old.health(P, "later")
    # what a probe finds still counts for the deployments, and for those of the next reload
    assert new.reach(P) is p.reach and new.health(P, "later").reach is p.reach
    third = HealthBook(new, ("p",))
    assert third.health(P, "another").reach is p.reach
    # each model of a provider has a gate of its own
    gates = [new.gate(route, Deployment("p", model, concurrent=1)) for model in ("a", "b", "a")]
    assert gates[0] is gates[2] is not gates[1] is not gate
    fast = Route("m", (Deployment("q"),), strategy="least-latency")
    counting = new.gate(fast, Deployment("q"))
    assert counting is not None and counting.limit == 0


async def test_states_for_the_metrics(opened: Opened) -> None:
    async with upstreams() as made:
        lane = await opened(providers=providers(made), routes=(
            Route("m", (Deployment("p0"), Deployment("p1"))), Route("n*", (Deployment("p0"),))))
        plane = plane_of(lane)
        health = plane.policy.plans["openai", "m"].places[1].health
        for _ in range(TRIP_FAILURES):
            health.circuit.failed(plane.now(), hard=False)
        found = {key: count for key, count in states(plane).items() if count}
        assert found == {("p0", "healthy"): 2, ("p1", "cooling"): 1}
        assert len(states(plane)) == 2 * len(State)


async def test_probes(opened: Opened) -> None:
    async with upstreams(plain_answer) as made:
        found = providers(made, probe_seconds=5.0)
        found["down"] = provider("openai", 1, name="down", timeouts=SHORT, probe_seconds=5.0)
        found["unprobed"] = provider("openai", 1, name="unprobed", timeouts=SHORT)
        lane = await opened(providers=found, routes=())
        plane, now = plane_of(lane), [100.0]
        prober = Prober(plane, lambda: now[0])
        reach = plane.policy.health.reach
        for _ in range(TRIP_FAILURES):
            prober.once()
            prober.once()  # once in probe_seconds, however often it looks
            await asyncio.sleep(0.05)
            prober.once()
            await asyncio.sleep(0.01)
            now[0] += 5.0
        assert reach(found["down"]).state in (State.COOLING, State.DOWN)
        assert reach(found["down"]).hard
        assert reach(found["p0"]).state is reach(found["unprobed"]).state is State.HEALTHY
        assert plane.policy.pools["p0"].idle == 1 and made[0].requests == []
        # the relay's own prober may have looked too
        assert made[0].opened <= TRIP_FAILURES + 1 and made[0].open_now == 1
        # and a provider that is there again is found without a call
        for _ in range(TRIP_FAILURES):
            reach(found["p0"]).failed(now[0], hard=True)
        prober.once()
        await asyncio.sleep(0.05)
        assert reach(found["p0"]).state is State.HEALTHY


async def test_probes_begin_by_themselves(opened: Opened) -> None:
    async with upstreams(plain_answer) as made:
        await opened(providers=providers(made, probe_seconds=60.0), routes=())
        async with asyncio.timeout(5):
            while not made[0].opened:
                await asyncio.sleep(0.01)
        assert made[0].requests == []
