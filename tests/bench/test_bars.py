"""Bars: met by the median of the rounds, and only by what was measured."""

from __future__ import annotations

import pytest

from bench.bars import BARS, Bar, judge, judge_all
from bench.sample import Sample

RATIO = Bar("json", "ratio", "call_us", "ratio", 3.0)
ADDED = Bar("latency", "added", "p50_us", "added", 150.0, to="direct")
VALUE = Bar("memory", "value", "stream_kib", "value", 40.0)
BELOW = Bar("agent", "below", "call_us", "below", 1.0, to="plain aiohttp")


def samples(peer: str, figure: str, *values: float) -> list[Sample]:
    return [Sample(peer, number, {figure: value}) for number, value in enumerate(values)]


@pytest.mark.parametrize(("bar", "ours", "to", "theirs", "middle", "met"), [
    (RATIO, (30, 31, 90), "nginx", (10, 10, 10), 3.1, False),
    (RATIO, (30, 29, 90), "nginx", (10, 10, 10), 3.0, True),
    (ADDED, (250, 260), "direct", (100, 110), 150.0, True),
    (ADDED, (251, 262), "direct", (100, 110), 151.5, False),
    (VALUE, (40,), "nginx", (1,), 40.0, True),
    (VALUE, (41,), "nginx", (1,), 41.0, False),
    # below: the worst of ours to the best of theirs, and equal is not below
    (BELOW, (10, 99), "plain aiohttp", (100, 300), 0.99, True),
    (BELOW, (10, 100), "plain aiohttp", (100, 300), 1.0, False),
])
def test_a_verdict(
    bar: Bar, ours: tuple[float, ...], to: str, theirs: tuple[float, ...], middle: float,
    met: bool,
) -> None:
    found = judge(bar, samples("relayd", bar.figure, *ours) + samples(to, bar.figure, *theirs))
    assert found.found is not None
    assert found.found.middle == pytest.approx(middle)
    assert found.met is met


@pytest.mark.parametrize("bar", [RATIO, ADDED, BELOW])
def test_without_the_other_there_is_no_verdict(bar: Bar) -> None:
    assert judge(bar, samples("relayd", bar.figure, 1.0)).met is None


def test_nothing_measured_meets_nothing() -> None:
    assert [each.met for each in judge_all({})] == [None] * len(BARS)
