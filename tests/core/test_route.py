"""Routes are found by exact name, then by the most specific pattern; order follows weight."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.health import Level
from relayd.core.route import Deployment, Route, Routes, Standing, _known_pairs, nearest, order

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


NAMES = ("gpt-5.5", "gpt-5.5-mini", "gpt-5-mini", "gpt-4o", "claude-opus-5-5", "o3")


@pytest.mark.parametrize(("asked", "near"), [
    ("gpt-5.5-mni", ["gpt-5.5-mini", "gpt-5.5", "gpt-5-mini"]),
    ("GPT-5.5", ["gpt-5.5", "gpt-5.5-mini", "gpt-4o"]),
    ("opus-5-5", ["claude-opus-5-5"]),
    ("openai/gpt-4o", ["gpt-4o"]),
    ("o3", ["o3"]), ("x", []), ("", []), ("llama-70b", []),
])
def test_names_that_are_alike(asked: str, near: list[str]) -> None:
    assert nearest(asked, NAMES) == near
    assert nearest(asked, [*NAMES, "x" * 300, "", "q"]) == near


def test_many_names_are_taken_apart_once_and_no_clients_word_is_kept() -> None:
    _known_pairs.cache_clear()
    for asked in ("gpt-5", "private"):
        nearest(asked, NAMES)
    found = _known_pairs.cache_info()
    assert (found.misses, found.hits, found.currsize) == (len(NAMES),) * 3


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


def test_an_alias_is_another_name_and_never_hides_a_route() -> None:
    routes = Routes.of([Route("gpt-4o", ONE, aliases=("fast", "mine")), Route("mine", ONE)])
    assert routes.find("fast") is routes.find("gpt-4o") is not None
    found = routes.find("mine")
    assert found is not None and found.pattern == "mine"


THREE = [Deployment("a"), Deployment("b"), Deployment("c", priority=2)]


@pytest.mark.parametrize(("levels", "expected"), [
    ("000", [0, 1, 2]), ("100", [1, 2, 0]), ("220", [2, 0, 1]), ("330", [2]), ("333", []),
    ("302", [1, 2]), ("021", [0, 2, 1]),
])
def test_health_comes_first(levels: str, expected: list[int]) -> None:
    standings = [Standing(Level(int(level))) for level in levels]
    assert order(THREE, 0.0, standings) == expected


def test_the_fastest_and_the_cheapest() -> None:
    standings = [Standing(Level.READY, 0.4, None), Standing(Level.READY, 0.1, 30),
                 Standing(Level.READY, 0.0, 10)]
    assert order(THREE, 0.0, standings, "least-latency") == [1, 0, 2]
    assert order(THREE, 0.0, standings, "cheapest") == [1, 0, 2]  # no price is no low price
    same = [Standing(Level.READY, 0.1, 5)] * 3
    for strategy in ("least-latency", "cheapest"):
        assert order(THREE, 0.6, same, strategy) == [1, 0, 2]  # type: ignore[arg-type]


def test_the_cheapest_goes_first_and_what_is_free_before_it() -> None:
    deployments = [Deployment(name) for name in "abcd"]
    standings = [Standing(Level.READY, 0.0, cost) for cost in (30, None, 0, 10)]
    assert order(deployments, 0.0, standings, "cheapest") == [2, 3, 0, 1]
    latencies = [Standing(Level.READY, seconds) for seconds in (0.3, 0.2, 0.0, 0.1)]
    assert order(deployments, 0.0, latencies, "least-latency") == [2, 3, 1, 0]


FOUR = [Deployment(f"p{n}", weight=1 + n % 2) for n in range(4)]


@given(st.binary(min_size=1, max_size=80), st.floats(0, 1, exclude_max=True))
def test_a_key_has_one_favourite_and_spills_to_one_other(key: bytes, dice: float) -> None:
    """Whatever the dice: the same order; without the favourite it is the same but for it."""
    whole = order(FOUR, 0.0, key=key)
    assert order(FOUR, dice, key=key) == whole
    ill = [Standing(Level.OUT if n == whole[0] else Level.READY) for n in range(4)]
    assert order(FOUR, dice, ill, key=key) == whole[1:]


def test_keys_are_spread_by_weight() -> None:
    firsts = Counter(order(FOUR, 0.0, key=b"%d" % n)[0] for n in range(3000))
    for n, count in firsts.items():
        assert count == pytest.approx(500 * FOUR[n].weight, rel=0.2)
