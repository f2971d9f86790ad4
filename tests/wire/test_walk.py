"""What a reading reports."""

from __future__ import annotations

import pytest

from relayd.wire.walk import DROPPED_MAX, BodyPolicy, Walk, printable


@pytest.mark.parametrize(("name", "shown"), [
    ("top_k", "top_k"), ("a.b[0]", "a.b[0]"), ("$x", "$x"), ("", "unnamed"), ("a b", "unnamed"),
    ("x\r\nset-cookie: y", "unnamed"), ("x" * 65, "unnamed"), ("naïve", "unnamed"),
    ("a,b", "unnamed"),
])
def test_names_are_safe_to_show(name: str, shown: str) -> None:
    assert printable(name) == shown


def test_a_policy_that_says_nothing_passes_nothing_on_that_leads_to_a_person() -> None:
    policy = BodyPolicy()
    assert (policy.unknown_fields, policy.pass_fields) == ("drop", frozenset())
    assert (policy.end_user, policy.cache_key, policy.remote_mcp) == ("absent", "hashed", "off")


def test_a_reading_begins_with_nothing() -> None:
    state = Walk(BodyPolicy())
    assert state.known is state.end_user is None and state.stand_ins == ()
    assert state.stream is state.usage_asked is False


def test_the_report_is_bounded() -> None:
    state = Walk(BodyPolicy())
    for index in range(200):
        state.drop(f"field{index}")
    assert len(state.dropped) == DROPPED_MAX + 1 and "more" in state.dropped


def test_two_readings_share_nothing() -> None:
    first, second = Walk(BodyPolicy()), Walk(BodyPolicy())
    first.drop("a")
    first.places.append({})
    assert second.dropped == set() and second.places == []


def test_its_repr_shows_nothing() -> None:
    assert repr(Walk(BodyPolicy(), end_user="canary")) == "Walk(...)"
