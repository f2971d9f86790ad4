"""What costs more than the list price is not asked for, unless the operator wants it to be."""

from __future__ import annotations

import pytest

from relayd.wire.fields import GONE
from relayd.wire.tier import memory, speed, tier
from relayd.wire.walk import BodyPolicy, Walk
from tests.wire.asking import dropped, sent

PASS = BodyPolicy(paid_tiers="pass")


@pytest.mark.parametrize("value", [
    "auto", "default", "flex", "standard_only", "standard", "on_demand", "SERVICE_TIER_FLEX"])
def test_what_costs_no_more_goes_on(value: str) -> None:
    walk = Walk(BodyPolicy())
    assert tier("service_tier")(value, walk) == value and not walk.dropped


def test_null_equals_absence() -> None:
    for policy in (BodyPolicy(), PASS):
        walk = Walk(policy)
        assert tier("service_tier")(None, walk) is GONE and not walk.dropped


@pytest.mark.parametrize("value", [
    "priority", "PRIORITY", "fast", "scale", "performance", 7, {"a": 1}, ["flex"]])
def test_what_costs_more_or_is_unknown_is_dropped_and_named(value: object) -> None:
    walk = Walk(BodyPolicy())
    assert tier("service_tier")(value, walk) is GONE and walk.dropped == {"service_tier"}
    walk = Walk(PASS)
    assert tier("service_tier")(value, walk) == value and not walk.dropped


def test_speed() -> None:
    walk = Walk(BodyPolicy())
    assert speed("standard", walk) is GONE and speed(None, walk) is GONE and not walk.dropped
    assert speed("fast", walk) is GONE and walk.dropped == {"speed"}
    assert speed("fast", Walk(PASS)) == "fast"


def test_memory_of_a_container() -> None:
    """`64g` cost the operator 1.92 USD where the call paid its tokens."""
    walk = Walk(BodyPolicy())
    assert memory("1g", walk) == "1g" and memory(None, walk) is None and not walk.dropped
    for value in ("4g", "64g", 64, {"a": 1}):
        assert memory(value, walk) is GONE and walk.dropped == {"tools.memory_limit"}
    assert memory("64g", Walk(PASS)) == "64g"


@pytest.mark.parametrize("kind, place", [("code_interpreter", "container"),
                                         ("shell", "environment")])
def test_a_container_is_no_larger_than_usual(kind: str, place: str) -> None:
    def asked(**more: str) -> dict[str, object]:
        return {"model": "m", "input": "hi", "tools": [{"type": kind, place: {
            "type": "auto" if place == "container" else "container_auto", **more}}]}
    assert sent("responses", asked(memory_limit="64g")) == sent("responses", asked())
    assert dropped("responses", asked(memory_limit="64g")) == ("tools.memory_limit",)


TURN = [{"role": "user", "content": "hi"}]
BODIES = {
    "chat": {"model": "m", "messages": TURN}, "responses": {"model": "m", "input": "hi"},
    "messages": {"model": "m", "messages": TURN, "max_tokens": 5},
    "generate": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
}


@pytest.mark.parametrize("operation", BODIES)
def test_every_dialect(operation: str) -> None:
    body = BODIES[operation]
    name = "serviceTier" if operation == "generate" else "service_tier"
    plain = sent(operation, body)
    assert sent(operation, {**body, name: "priority"}) == plain
    assert dropped(operation, {**body, name: "priority"}) == (name,)
    assert sent(operation, {**body, name: "flex"}) == {**plain, name: "flex"}
    assert sent(operation, {**body, name: "priority"}, paid_tiers="pass") == {
        **plain, name: "priority"}


def test_anthropics_fast_mode() -> None:
    body = {**BODIES["messages"], "speed": "fast"}
    assert sent("messages", body) == sent("messages", BODIES["messages"])
    assert dropped("messages", body) == ("speed",)
    assert sent("messages", body, paid_tiers="pass")["speed"] == "fast"
