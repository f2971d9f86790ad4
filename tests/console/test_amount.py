"""Figures are short, and something is never shown as nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.console.amount import axis_money, cost, money, share, short, took
from relayd.core.money import NANO, parse_nano


@pytest.mark.parametrize(("nano", "text"), (
    (0, "$0.00"), (1, "< $0.0001"), (50_000, "$0.0001"), (49_999, "< $0.0001"),
    (4_200_000, "$0.0042"), (NANO - 1, "$1.0000"), (NANO, "$1.00"), (12_345_000_000, "$12.35"),
    (1_234_567 * NANO, "$1,234,567.00"), (-12_345_000_000, "-$12.35"), (-1, "-< $0.0001")))
def test_money(nano: int, text: str) -> None:
    assert money(nano, "USD") == text
    assert money(nano, "CHF") == text.replace("$", "CHF ")


def test_a_call_that_costs_nothing_costs_it_in_no_currency() -> None:
    assert (cost(0, "USD"), cost(4_200_000, "CNY")) == ("0", "¥0.0042")


@given(st.integers(1, 1 << 62))
def test_something_is_not_nothing(nano: int) -> None:
    shown = money(nano, "USD")
    assert any(digit in shown for digit in "123456789")


@given(st.integers(0, 1 << 62))
def test_an_axis_is_exact(nano: int) -> None:
    assert parse_nano(axis_money(nano)) == nano


@pytest.mark.parametrize(("count", "text"), (
    (0, "0"), (999, "999"), (1000, "1k"), (1234, "1.2k"), (99_949, "99.9k"), (123_456, "123k"),
    (5_000_000, "5M"), (2_500_000_000, "2.5G"), (10 ** 15, "1000T")))
def test_short(count: int, text: str) -> None:
    assert short(count) == text


def test_times_and_shares() -> None:
    assert (took(None), took(85.4), took(999.4), took(1240.0)) == (
        "–", "85 ms", "999 ms", "1.24 s")
    assert (share(0, 0), share(0, 5), share(3, 200)) == ("–", "0.0 %", "1.5 %")
