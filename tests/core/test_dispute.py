"""Disputes move by the table and by nothing else."""

from __future__ import annotations

from itertools import product
from typing import get_args

import pytest

from relayd.core.dispute import (
    DISPUTE_MOVES, Dispute, DisputeMove, DisputeState, moved,
)
from relayd.core.errors import RelayError

PAIRS = list(product(get_args(DisputeState), get_args(DisputeMove)))


@pytest.mark.parametrize("state, step", PAIRS)
def test_the_table_and_its_complement(state: DisputeState, step: DisputeMove) -> None:
    dispute = Dispute("dp_1", "ord_1", 5, state, 1)
    if (state, step) in DISPUTE_MOVES:
        after = moved(dispute, step, 7)
        assert (after.state, after.closed_at_ms) == (DISPUTE_MOVES[state, step], 7)
    else:
        with pytest.raises(RelayError) as caught:
            moved(dispute, step, 7)
        assert caught.value.code == "order_state"


def test_what_is_decided_stays_decided() -> None:
    assert {state for state, _ in DISPUTE_MOVES} == {"open"}
