"""Refunds move by the table and by nothing else."""

from __future__ import annotations

from itertools import product
from typing import get_args

import pytest

from relayd.core.errors import RelayError
from relayd.core.refund import REFUND_MOVES, Refund, RefundMove, RefundState, moved

PAIRS = list(product(get_args(RefundState), get_args(RefundMove)))


@pytest.mark.parametrize("state, step", PAIRS)
def test_the_table_and_its_complement(state: RefundState, step: RefundMove) -> None:
    refund = Refund("rf_1", "ord_1", 5, state, 1)
    if (state, step) in REFUND_MOVES:
        after = moved(refund, step, 7)
        assert (after.state, after.ended_at_ms) == (REFUND_MOVES[state, step], 7)
    else:
        with pytest.raises(RelayError) as caught:
            moved(refund, step, 7)
        assert caught.value.code == "order_state"


def test_what_is_done_only_comes_back() -> None:
    assert [(step, after) for (state, step), after in REFUND_MOVES.items() if state == "done"
            ] == [("fail", "failed")]
