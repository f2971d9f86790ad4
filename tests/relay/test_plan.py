"""Plans: what is simple, in which order places come, when one is strained or out."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from relayd.core.errors import RelayError
from relayd.core.gate import Gate
from relayd.core.health import TRIP_FAILURES, Circuit, Health, Level, State
from relayd.core.provider import DataTerms, Trains
from relayd.core.route import Deployment, Route
from relayd.core.snapshot import KeyGrant
from relayd.relay.plan import OVERSEAS, TRAINING, Place, Plan, require
from tests.fakes.daemon import provider


def place(
    deployment: Deployment, *, credentials: int = 1, gate: Gate | None = None,
    pattern: str = "m", hangs: bool = False, strict: bool = False, **there: Any,
) -> Place:
    where: Any = SimpleNamespace(
        provider=provider("openai", 1, name=deployment.provider, **there),
        hangs=lambda now: hangs)
    return Place(Route(pattern, (deployment,)), deployment, where,
                 Health(Circuit(), credentials), gate, strict=strict)


def plan(*places: Place, **options: Any) -> Plan:
    return Plan(Route("m", tuple(p.deployment for p in places), **options), places)


A, B = Deployment("a"), Deployment("b", priority=2)


@pytest.mark.parametrize(("deployment", "pattern", "sends"), [
    (A, "m", "m"), (A, "m*", None), (Deployment("a", "theirs"), "m*", "theirs"),
])
def test_the_model_s_name_there(deployment: Deployment, pattern: str, sends: str | None) -> None:
    assert place(deployment, pattern=pattern).sends == sends


def test_what_is_simple() -> None:
    assert plan(place(A)).simple and plan(place(A, credentials=0)).simple
    for other in (plan(place(A), place(B)), plan(place(A, credentials=2)), plan(),
                  plan(place(A, gate=Gate(1, 0))), plan(place(A), hedge_ms=100),
                  plan(place(Deployment("a", drain=True)))):
        assert not other.simple


def test_levels_and_order() -> None:
    gate = Gate(1, 0)
    first, second = place(A, gate=gate), place(B)
    both = plan(first, second)
    assert both.order(1.0, 0.0, None, None) == [first, second]
    gate.enter(lambda: None)
    assert first.level(1.0) is Level.STRAINED
    assert both.order(1.0, 0.0, None, None) == [second, first]
    for _ in range(TRIP_FAILURES):
        second.health.reach.failed(1.0, hard=True)
    assert both.order(1.0, 0.0, None, None) == [first]
    assert (first.state(1.0), second.state(1.0)) == (State.HEALTHY, State.COOLING)
    assert plan(second).order(1.0, 0.0, None, None) == [] and plan(second).wait(1.5) == 0.5
    assert place(A, hangs=True).level(1.0) is Level.STRAINED
    drained = place(Deployment("a", drain=True))
    assert drained.level(1.0) is Level.OUT and drained.state(1.0) is State.DRAINING
    assert plan(drained).order(1.0, 0.0, None, None) == []


def test_load_counts_calls_under_way() -> None:
    gate = Gate(0, 0)
    one, other = place(A, gate=gate), place(Deployment("b"), gate=Gate(0, 0))
    fast = plan(one, other, strategy="least-latency")
    one.health.latency.observe(1.0, 0.1)
    other.health.latency.observe(1.0, 0.25)
    assert fast.order(1.0, 0.9, None, None)[0] is one
    gate.enter(lambda: None)
    gate.enter(lambda: None)
    assert fast.order(1.0, 0.0, None, None)[0] is other


def test_one_slow_answer_keeps_a_place_away_for_a_while_alone() -> None:
    one, other = place(A), place(Deployment("b"))
    fast = plan(one, other, strategy="least-latency")
    one.health.latency.observe(1.0, 10.0)
    for second in range(1, 60):
        other.health.latency.observe(float(second), 0.5)
    assert fast.order(2.0, 0.0, None, None)[0] is other
    assert fast.order(59.0, 0.0, None, None)[0] is one


def test_costs_are_asked_by_the_name_that_is_sent() -> None:
    asked: list[tuple[str, str]] = []

    def cost(name: str, model: str) -> int | None:
        asked.append((name, model))
        return {"a": 2, "b": 1}[name]

    one, other = place(A), place(Deployment("b", "x"))
    cheap = plan(one, other, strategy="cheapest")
    assert cheap.order(1.0, 0.0, None, cost) == [other, one]
    assert asked == [("a", "m"), ("b", "x")]


@pytest.mark.parametrize(("asks", "overseas", "training", "code"), [
    (0, False, False, None), (OVERSEAS, True, False, None),
    (OVERSEAS | TRAINING, True, True, None),
    (OVERSEAS, False, True, "cross_border_consent_required"),
    (TRAINING, True, False, "training_consent_required"),
    (OVERSEAS | TRAINING, False, False, "cross_border_consent_required"),
])
def test_consents_that_are_asked_for(
    asks: int, overseas: bool, training: bool, code: str | None
) -> None:
    grant = KeyGrant("k", "a", None, None, None, False, overseas=overseas, training=training)
    if code is None:
        require(grant, asks)
        return
    with pytest.raises(RelayError) as caught:
        require(grant, asks)
    assert caught.value.code == code


@pytest.mark.parametrize("overseas", [True, False])
@pytest.mark.parametrize(("trains", "strict", "asked"), [
    ("yes", False, True), ("yes", True, True), ("unknown", True, True), ("unknown", False, False),
    ("no", True, False), ("no", False, False),
])
def test_which_consents_a_place_needs(
    overseas: bool, trains: Trains, strict: bool, asked: bool
) -> None:
    wanted = OVERSEAS * overseas | TRAINING * asked
    by_provider = place(A, strict=strict, overseas=overseas, terms=DataTerms(trains))
    assert by_provider.asks == wanted
    # a deployment's own terms stand before its provider's
    own = place(Deployment("a", terms=DataTerms(trains)), strict=strict, overseas=overseas,
                terms=DataTerms("no" if trains == "yes" else "yes"))
    assert own.asks == wanted and own.terms == DataTerms(trains)


def test_places_that_an_account_agreed_to() -> None:
    near, far, learns, both = (
        place(Deployment(name), overseas=overseas, terms=DataTerms(trains))
        for name, overseas, trains in (("near", False, "no"), ("far", True, "no"),
                                       ("learns", False, "yes"), ("both", True, "yes")))
    whole = plan(near, far, learns, both)
    assert whole.asks == OVERSEAS | TRAINING and plan(near).asks == 0 == plan().asks
    for given, left in ((0, (near,)), (OVERSEAS, (near, far)), (TRAINING, (near, learns)),
                        (OVERSEAS | TRAINING, (near, far, learns, both))):
        assert whole.within(given).places == left
        assert whole.within(given).asks & ~given == 0
    # what is lacking is that of the place that needs the fewest
    assert whole.lacking(0) == 0 == plan().lacking(0)
    assert plan(both, learns).lacking(0) == TRAINING
    assert plan(both).lacking(OVERSEAS) == TRAINING and plan(both).lacking(TRAINING) == OVERSEAS
    assert whole.terms.trains == "yes" and plan(near, far).terms.trains == "no"


def test_one_place_is_tried_unless_it_is_out_and_the_soonest_is_waited_for() -> None:
    one, other = place(A), place(Deployment("b"))
    assert plan(one).order(1.0, 0.0, None, None) == [one]
    for _ in range(TRIP_FAILURES):
        one.health.circuit.failed(1.0, hard=False)  # it answers, badly: the last resort
    assert one.level(1.0) is Level.LAST and plan(one).order(1.0, 0.0, None, None) == [one]
    # a pool that hangs makes nothing better of it
    hanging = place(A, hangs=True)
    for _ in range(TRIP_FAILURES):
        hanging.health.circuit.failed(1.0, hard=True)
    assert hanging.level(1.0) is Level.OUT
    for _ in range(TRIP_FAILURES):
        other.health.circuit.failed(1.5, hard=True)
    assert plan(one, other).wait(1.5) == one.health.wait(1.5) < other.health.wait(1.5)
