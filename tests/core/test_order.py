"""Orders move by the table and by nothing else."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import get_args

import pytest

from relayd.core.errors import RelayError
from relayd.core.order import (
    ALARMS, ORDER_MOVES, ORDER_STATES, REFUNDABLE, UNPAID, Order, OrderMove, OrderState, Outcome,
    advance, can, moved,
)

ORDER = Order("ord_1", "acct_1", "card", "CNY", 1000, "pending", 1, 2, page="https://x.test/?s=1",
              refunded_minor=300)
PAIRS = list(product(ORDER_STATES, get_args(OrderMove)))


@pytest.mark.parametrize("state, step", PAIRS)
def test_the_table_and_its_complement(state: OrderState, step: OrderMove) -> None:
    if (state, step) in ORDER_MOVES:
        assert advance(state, step) == ORDER_MOVES[state, step]
    else:
        with pytest.raises(RelayError) as caught:
            advance(state, step)
        assert caught.value.code == "order_state"


def test_states_are_those_of_the_table() -> None:
    used = {state for state, _ in ORDER_MOVES} | set(ORDER_MOVES.values())
    assert used == set(ORDER_STATES) == set(get_args(OrderState))


def test_only_a_paid_order_is_credited_and_only_once() -> None:
    assert [key for key in ORDER_MOVES if key[1] == "credit"] == [("paid", "credit")]
    # nothing leads back to paid from where money has been credited
    assert {state for (state, _), after in ORDER_MOVES.items() if after == "paid"} == UNPAID


def test_refunds_start_where_money_is() -> None:
    assert {state for state, step in ORDER_MOVES if step == "hold"} == REFUNDABLE


def test_moved() -> None:
    assert can(ORDER, "pay") and moved(ORDER, "pay").state == "paid"
    assert not can(ORDER, "credit")
    assert ORDER.left_minor == 700
    assert "x.test" not in repr(ORDER)


@pytest.mark.parametrize(("session", "on_phone"), [
    (None, False), ("", False), ("cs_1", False), ("h5:", True), ("h5:1", True), ("xh5:", False)])
def test_where_an_order_is_paid(session: str | None, on_phone: bool) -> None:
    assert replace(ORDER, session=session).on_phone is on_phone


def test_alarms_are_outcomes() -> None:
    assert ALARMS < set(get_args(Outcome))
