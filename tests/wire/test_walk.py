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
