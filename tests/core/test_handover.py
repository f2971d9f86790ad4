"""The handover: the table of states, and no bundle before everybody knew and had time."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from relayd.core.errors import RelayError
from relayd.core.handover import (
    GOES_ALONG, MOVES, STATES, WINDOW_MS_MIN, Handover, advance, judge_bundle,
)

ANNOUNCED = Handover("hand_1", "notice_1", "announced", "Buyer Ltd", "dpo@buyer.example", False, 0,
                     100)


@pytest.mark.parametrize(("state", "move"), list(product(STATES, ("cancel", "bundle"))))
def test_the_table_and_its_complement(state: str, move: str) -> None:
    if (state, move) in MOVES:
        assert advance(state, move) == MOVES[state, move]  # type: ignore[arg-type, index]
    else:
        with pytest.raises(RelayError) as caught:
            advance(state, move)  # type: ignore[arg-type]
        assert caught.value.code == "handover_state"


@pytest.mark.parametrize(("now_ms", "unsent"), [(99, 0), (100, 1), (0, 5)])
def test_S5_no_bundle_while_an_owner_may_object_or_was_not_told(now_ms: int, unsent: int) -> None:
    with pytest.raises(RelayError) as caught:
        judge_bundle(ANNOUNCED, now_ms, unsent)
    assert caught.value.code == "handover_early"


@pytest.mark.parametrize("state", sorted(set(STATES) - {"announced"}))
def test_S5_one_bundle_and_none_of_what_was_called_off(state: str) -> None:
    with pytest.raises(RelayError) as caught:
        judge_bundle(replace(ANNOUNCED, state=state), 100, 0)  # type: ignore[arg-type]
    assert caught.value.code == "handover_state"


def test_S5_a_bundle_after_the_window() -> None:
    judge_bundle(ANNOUNCED, 100, 0)
    assert WINDOW_MS_MIN == 15 * 86_400_000
    assert GOES_ALONG.isdisjoint({"erased", "closing", "terminated", "unverified"})
