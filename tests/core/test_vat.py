"""Value-added tax: parts that always add up, rounded half up, the same for either sign."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.vat import NO_VAT, Vat, rate_text, signed_rounded, taxed

AMOUNTS = st.integers(-10 ** 12, 10 ** 12)
RATES = st.integers(0, 10_000)


@given(AMOUNTS, RATES, st.booleans())
def test_parts_add_up_and_signs_mirror(amount: int, rate: int, inclusive: bool) -> None:
    vat = Vat(rate, inclusive)
    net, tax, total = taxed(amount, vat)
    assert net + tax == total
    assert (total if inclusive else net) == amount
    assert taxed(-amount, vat) == (-net, -tax, -total)


@given(st.integers(0, 10 ** 12), RATES)
def test_the_net_of_a_price_is_what_decimal_says(amount: int, rate: int) -> None:
    wanted = (Decimal(amount) / (1 + Decimal(rate) / 10_000)).quantize(Decimal(1), ROUND_HALF_UP)
    assert taxed(amount, Vat(rate)).net == int(wanted)


def test_known_ones() -> None:
    assert taxed(12345, Vat(600)) == (11646, 699, 12345)
    assert taxed(100, Vat(600, False)) == (100, 6, 106)
    assert taxed(7, NO_VAT) == (7, 0, 7)
    assert (signed_rounded(5, 10), signed_rounded(-5, 10), signed_rounded(4, 10)) == (1, -1, 0)


@pytest.mark.parametrize("rate, text", [(600, "6%"), (50, "0.5%"), (1306, "13.06%"), (0, "0%"),
                                        (1000, "10%")])
def test_rates_are_printed(rate: int, text: str) -> None:
    assert rate_text(rate) == text
