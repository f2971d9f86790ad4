"""What is said of many samples."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.sample import Sample, Spread, added, of_peer, percentile, ratio, spread

SAMPLES = [
    Sample("nginx", 0, {"call_us": 10.0}), Sample("relayd", 0, {"call_us": 30.0}),
    Sample("nginx", 1, {"call_us": 20.0}), Sample("relayd", 1, {"call_us": 40.0}),
    Sample("nginx", 2, {"call_us": 10.0}), Sample("relayd", 3, {"call_us": 999.0}),
]


@pytest.mark.parametrize(("share", "expected"), [
    (0.0, 1), (0.01, 1), (0.5, 50), (0.51, 51), (0.99, 99), (0.999, 100), (1.0, 100),
])
def test_a_percentile_is_one_of_the_values(share: float, expected: int) -> None:
    assert percentile(range(100, 0, -1), share) == expected


def test_a_percentile_of_nothing_is_not_a_number() -> None:
    assert math.isnan(percentile([], 0.5))


@given(st.lists(st.integers(-10**9, 10**9), min_size=1), st.integers(1, 100))
def test_a_percentile_leaves_its_share_at_or_below(values: list[int], percent: int) -> None:
    found = percentile(values, percent / 100)
    below = sum(value <= found for value in values)
    assert Fraction(below, len(values)) >= Fraction(percent, 100) - Fraction(1, 10**9)
    assert found in values


def test_a_spread_leaves_out_what_was_not_measured() -> None:
    assert spread([3.0, math.nan, 1.0, 2.0]) == Spread(1.0, 2.0, 3.0)
    assert spread([math.nan]) is None
    assert of_peer(SAMPLES, "nginx", "event_us") is None


def test_peers_are_compared_within_a_round() -> None:
    # the least of each over all rounds would say 3.0, and round 3 has nobody to compare with
    assert ratio(SAMPLES, "call_us", "relayd", "nginx") == Spread(2.0, 2.5, 3.0)
    assert added(SAMPLES, "call_us", "relayd", "nginx") == Spread(20.0, 20.0, 20.0)
    assert ratio(SAMPLES, "call_us", "relayd", "plain aiohttp") is None
