"""Fapiao: one table of states; red letters in parts leave nothing and never go below."""

from __future__ import annotations

from itertools import product
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.errors import RelayError
from relayd.core.fapiao import (
    FAPIAO_MOVES, FAPIAO_STATES, Fapiao, FapiaoMove, Share, advance, check_number,
    parts, red_tax, spread,
)
from relayd.core.vat import Taxed


@pytest.mark.parametrize("state, move", [*product(FAPIAO_STATES, get_args(FapiaoMove))])
def test_states(state, move) -> None:  # type: ignore[no-untyped-def]
    if (state, move) in FAPIAO_MOVES:
        assert advance(state, move) == FAPIAO_MOVES[state, move]
        return
    with pytest.raises(RelayError) as caught:
        advance(state, move)
    assert caught.value.code == "fapiao_state"


def blue(amount: int, rate: int) -> Fapiao:
    return Fapiao("fap_1", "acct_1", "ordinary", "issued", amount, parts(amount, rate).tax, rate,
                  0, 1, (Share("ord_1", amount),), {"name": "王小明"})


@given(st.integers(1, 10 ** 7), st.integers(0, 2000), st.data())
def test_red_letters_take_back_all_and_no_more(amount: int, rate: int, data: st.DataObject
                                               ) -> None:
    found = blue(amount, rate)
    left = found.taxed
    for _ in range(10):
        back = data.draw(st.integers(1, left.total))
        tax = red_tax(found, back, left)
        assert 0 <= tax <= left.tax and 0 <= back - tax <= left.net
        left = Taxed(left.net - back + tax, left.tax - tax, left.total - back)
        if not left.total:
            break
    if left.total:
        tax = red_tax(found, left.total, left)
        left = Taxed(left.net - left.total + tax, left.tax - tax, 0)
    assert left == (0, 0, 0)


def test_the_tax_of_a_red_letter_is_that_of_its_own_amount() -> None:
    found = blue(10_600, 600)
    assert found.taxed == (10_000, 600, 10_600)
    assert red_tax(found, 5_300, found.taxed) == 300 and red_tax(found, 53, found.taxed) == 3
    assert red_tax(found, 10_599, found.taxed) == 600
    assert red_tax(found, 10_600, found.taxed) == 600
    # a fen that rounding left over goes with the last one, and net is never below nothing
    assert red_tax(found, 5_300, Taxed(5_001, 299, 5_300)) == 299
    assert red_tax(found, 5_300, Taxed(5_000, 301, 5_301)) == 300


@pytest.mark.parametrize("back", [0, -1, 101])
def test_never_more_than_is_left(back: int) -> None:
    with pytest.raises(RelayError) as caught:
        red_tax(blue(100, 600), back, blue(100, 600).taxed)
    assert caught.value.code == "fapiao_amount"


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=9), st.data())
def test_what_goes_back_is_spread_over_the_orders(amounts: list[int], data: st.DataObject
                                                  ) -> None:
    shares = [Share(f"ord_{place}", minor) for place, minor in enumerate(amounts)]
    back = data.draw(st.integers(1, sum(amounts)))
    found = spread(back, shares)
    assert sum(share.minor for share in found) == -back
    by_order = dict(shares)
    assert all(0 < -share.minor <= by_order[share.order] for share in found)
    with pytest.raises(RelayError):
        spread(sum(amounts) + 1, shares)


def test_numbers() -> None:
    assert check_number(" 2644 2000 0000 1234 5678 ") == "26442000000012345678"
    for text in ("1" * 19, "x" * 20, "１" * 20):
        with pytest.raises(RelayError) as caught:
            check_number(text)
        assert caught.value.code == "invalid_value"
    assert "王小明" not in repr(blue(1, 0))
