"""Money: texts to nano-units and back, rounding, and parts that add up."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.money import AMOUNT_MAX, NANO, decimal, parse_nano, rounded, split

WHOLE = st.integers(0, 10 ** 30)


@pytest.mark.parametrize(("text", "nano"), [
    ("0", 0), ("1", NANO), ("0.15", 150_000_000), ("2.50", 2_500_000_000),
    ("007.5", 7_500_000_000),
    ("0.000000001", 1), ("999999999999999999", 999_999_999_999_999_999 * NANO),
])
def test_texts(text: str, nano: int) -> None:
    assert parse_nano(text) == nano


@pytest.mark.parametrize("text", [
    "", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", "1_000", " 1", "1\n", "0.0000000001", "nan",
    "inf", "0x10", "١", "1" * 19, "1.2.3",
])
def test_texts_that_are_no_price(text: str) -> None:
    assert parse_nano(text) is None


@pytest.mark.parametrize(("nano", "places", "text"), [
    (0, 0, "0"), (0, 2, "0.00"), (1, 0, "0.000000001"), (1_500_000_000, 2, "1.50"),
    (1_500_000_000, 0, "1.5"), (3 * NANO, 0, "3"),
])
def test_decimals(nano: int, places: int, text: str) -> None:
    assert decimal(nano, places) == text


@given(st.integers(0, 10 ** 27 - 1), st.integers(0, 9))
def test_a_text_comes_back(nano: int, places: int) -> None:
    assert parse_nano(decimal(nano, places)) == nano


@pytest.mark.parametrize(("numerator", "denominator", "whole"), [
    (0, 5, 0), (1, 2, 1), (3, 2, 2), (5, 2, 3), (149, 100, 1), (150, 100, 2), (1, 3, 0), (2, 3, 1),
])
def test_a_half_goes_up(numerator: int, denominator: int, whole: int) -> None:
    assert rounded(numerator, denominator) == whole


@given(WHOLE, st.integers(1, 10 ** 12))
def test_rounding_is_off_by_a_half_at_most(numerator: int, denominator: int) -> None:
    off = rounded(numerator, denominator) - Fraction(numerator, denominator)
    assert Fraction(-1, 2) < off <= Fraction(1, 2)


@given(st.lists(WHOLE, max_size=13), st.integers(1, 10 ** 12))
def test_parts_add_up_and_are_close(numerators: list[int], denominator: int) -> None:
    parts = split(numerators, denominator)
    assert sum(parts) == rounded(sum(numerators), denominator)
    for part, numerator in zip(parts, numerators, strict=True):
        assert part >= 0 and abs(part - Fraction(numerator, denominator)) < 1
        assert part == 0 or numerator


def test_the_largest_amount_is_exact_for_every_reader_of_json() -> None:
    assert AMOUNT_MAX > 9_000_000 * NANO
    assert float(AMOUNT_MAX - 1) == AMOUNT_MAX - 1 != float(AMOUNT_MAX) == float(AMOUNT_MAX + 1)
