"""What came out: samples by peer and round, and what is said of many. Pure.

Law: peers are compared within one round, where the machine was the same for both.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sample:
    """The figures of one peer in one round; each name ends with its unit."""

    peer: str
    round: int
    figures: dict[str, float]


@dataclass(frozen=True, slots=True)
class Spread:
    """The least, the middle and the greatest of the rounds."""

    least: float
    middle: float
    most: float


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` (0 to 1) of all do not exceed; NaN of nothing."""
    if not values:
        return math.nan
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)]


def spread(values: Iterable[float]) -> Spread | None:
    """None of nothing."""
    found = [value for value in values if not math.isnan(value)]
    if not found:
        return None
    return Spread(min(found), statistics.median(found), max(found))


def by_round(samples: Iterable[Sample], peer: str, figure: str) -> dict[int, float]:
    """The figure of a peer in each round that has it."""
    return {each.round: each.figures[figure] for each in samples
            if each.peer == peer and figure in each.figures}


def of_peer(samples: Iterable[Sample], peer: str, figure: str) -> Spread | None:
    """The figure of a peer over all rounds."""
    return spread(by_round(samples, peer, figure).values())


def ratio(samples: Sequence[Sample], figure: str, peer: str, to: str) -> Spread | None:
    """peer / to, round by round; None where they never met."""
    ours, theirs = by_round(samples, peer, figure), by_round(samples, to, figure)
    return spread(ours[each] / theirs[each] for each in ours if theirs.get(each))


def added(samples: Sequence[Sample], figure: str, peer: str, to: str) -> Spread | None:
    """peer - to, round by round; None where they never met."""
    ours, theirs = by_round(samples, peer, figure), by_round(samples, to, figure)
    return spread(ours[each] - theirs[each] for each in ours if each in theirs)
