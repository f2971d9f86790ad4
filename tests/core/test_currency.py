"""Minor units and nano-units: exact there and back, and nothing finer slips through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.currency import (
    PLACES, minor_text, nano_per_minor, parse_minor, places, to_nano, whole_minor,
)
from relayd.core.money import CURRENCY, NANO

CURRENCIES = st.sampled_from([*sorted(PLACES), "KWD", "CLP", "UYW", "XTS"])


@given(st.integers(0, 10 ** 12 - 1), CURRENCIES)
def test_there_and_back(minor: int, currency: str) -> None:
    nano = to_nano(minor, currency)
    assert whole_minor(nano, currency) == minor
    assert parse_minor(minor_text(minor, currency), currency) == minor


@given(st.integers(0, 10 ** 18), CURRENCIES)
def test_what_is_finer_is_left_over(nano: int, currency: str) -> None:
    whole = whole_minor(nano, currency)
    left = nano - to_nano(whole, currency)
    assert 0 <= left < nano_per_minor(currency)


@pytest.mark.parametrize("minor, currency, text", [
    (1234, "CNY", "12.34"), (5, "USD", "0.05"), (0, "EUR", "0.00"), (1234, "JPY", "1234"),
    (-1230, "CNY", "-12.30"), (1234, "KWD", "1.234"), (-5, "BHD", "-0.005"), (1234, "CLP", "1234"),
])
def test_texts(minor: int, currency: str, text: str) -> None:
    assert minor_text(minor, currency) == text


@pytest.mark.parametrize("text, currency, minor", [
    ("12", "CNY", 1200), ("12.3", "CNY", 1230), ("12.340", "CNY", 1234), ("12.345", "CNY", None),
    ("", "CNY", None), ("-1", "CNY", None), ("+1", "CNY", None), ("1e3", "CNY", None),
    ("1,000", "CNY", None), ("1.", "CNY", None), (".5", "CNY", None), ("12.0", "JPY", 12),
    ("12.5", "JPY", None), ("12.345", "OMR", 12345), ("12.3455", "OMR", None),
    ("1.5", "VND", None),
    ("１２", "CNY", None), (" 1", "CNY", None),
    ("9" * 12, "JPY", 10 ** 12 - 1), ("1" + "0" * 12, "JPY", None), ("9" * 13, "CNY", None),
])
def test_parsing(text: str, currency: str, minor: int | None) -> None:
    assert parse_minor(text, currency) == minor


def test_minor_units_are_those_of_the_standard() -> None:
    """ISO 4217, list one."""
    assert {currency for currency in PLACES if PLACES[currency] != 2} == {"JPY", "KRW"}
    assert all(CURRENCY.fullmatch(currency) for currency in PLACES)
    assert {nano_per_minor(currency) for currency in ("JPY", "KRW")} == {NANO}
    assert {nano_per_minor(currency) for currency in ("CNY", "EUR", "USD")} == {NANO // 100}


def test_minor_units_of_currencies_that_nobody_pays_in_are_those_of_the_standard() -> None:
    """ISO 4217, list one: all that have not two decimals."""
    none = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
    by_places = {0: none, 2: "USD HUF MGA MRU CNY", 3: "BHD IQD JOD KWD LYD OMR TND", 4: "CLF UYW"}
    for wanted, names in by_places.items():
        assert {places(name) for name in names.split()} == {wanted}
    assert all(places(name) == decimals for name, decimals in PLACES.items())
