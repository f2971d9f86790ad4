"""Routes are found by exact name, then by the most specific pattern; order follows weight."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.route import Deployment, Route, Routes, order

ONE = (Deployment("p"),)
TABLE = Routes.of([
    Route("gpt-4o", ONE), Route("gpt-*", ONE), Route("gpt-4*", ONE), Route("*", ONE),
    Route("a*b*c", ONE),
])


@pytest.mark.parametrize(("model", "pattern"), [
    ("gpt-4o", "gpt-4o"), ("gpt-4o-mini", "gpt-4*"), ("gpt-5", "gpt-*"), ("axxbyyc", "a*b*c"),
    ("claude", "*"), ("gpt.4o", "*"),
])
def test_find(model: str, pattern: str) -> None:
    route = TABLE.find(model)
    assert route is not None and route.pattern == pattern


def test_a_name_without_a_route_has_none() -> None:
    assert Routes.of([Route("gpt-4o", ONE), Route("claude-*", ONE)]).find("gpt-4") is None


def test_pattern_characters_other_than_the_star_stand_for_themselves() -> None:
    routes = Routes.of([Route("a.b*", ONE)])
    assert routes.find("a.b1") is not None
    assert routes.find("axb1") is None


def test_order_goes_by_priority_then_weight() -> None:
    low = Deployment("low", priority=2)
    heavy, light = Deployment("heavy", weight=3), Deployment("light")
    assert order([low, heavy, light], 0.0) == [1, 2, 0]
    assert order([low, heavy, light], 0.74) == [1, 2, 0]
    assert order([low, heavy, light], 0.76) == [2, 1, 0]


def test_weights_are_met_over_all_dice() -> None:
    deployments = [Deployment("a", weight=3), Deployment("b", weight=1)]
    firsts = Counter(order(deployments, n / 1000)[0] for n in range(1000))
    assert firsts == {0: 750, 1: 250}


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 3)), min_size=1, max_size=8),
    st.floats(0, 1, exclude_max=True),
)
def test_order_is_a_permutation_sorted_by_priority(shape: list[tuple[int, int]], dice: float
                                                   ) -> None:
    deployments = [Deployment(f"p{n}", None, w, p) for n, (w, p) in enumerate(shape)]
    got = order(deployments, dice)
    assert sorted(got) == list(range(len(deployments)))
    priorities = [deployments[n].priority for n in got]
    assert priorities == sorted(priorities)
