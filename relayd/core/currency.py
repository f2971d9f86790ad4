"""Currencies at payment partners: whole minor units (fen, cents), and how many make one unit.

Law: a minor unit is a whole number of nano-units, so going there is exact; the way back is exact
or says that it is not.
"""

from __future__ import annotations

import re
from typing import Final

from relayd.core.money import DECIMALS

PLACES: Final = {
    "AUD": 2, "CAD": 2, "CHF": 2, "CNY": 2, "EUR": 2, "GBP": 2, "HKD": 2, "JPY": 0, "KRW": 0,
    "MYR": 2, "NZD": 2, "SGD": 2, "THB": 2, "TWD": 2, "USD": 2,
}
"""Decimals of the currencies in which payments are taken (ISO 4217)."""
_DECIMAL: Final = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,6}))?", re.ASCII)


def nano_per_minor(currency: str) -> int:
    """Nano-units of one minor unit. KeyError where the currency is not one of PLACES."""
    return int(10 ** (DECIMALS - PLACES[currency]))


def to_nano(minor: int, currency: str) -> int:
    """The same amount in nano-units."""
    return minor * nano_per_minor(currency)


def whole_minor(nano: int, currency: str) -> int:
    """The whole minor units in an amount >= 0; what is finer is left over."""
    return nano // nano_per_minor(currency)


def exact_minor(nano: int, currency: str) -> int | None:
    """The same amount in minor units, None where it is finer than those."""
    minor, rest = divmod(nano, nano_per_minor(currency))
    return None if rest else minor


def minor_text(minor: int, currency: str) -> str:
    """As partners and people write it: `-12.30`, with all of the currency's decimals."""
    places = PLACES[currency]
    sign = "-" if minor < 0 else ""
    whole, rest = divmod(abs(minor), 10 ** places)
    return f"{sign}{whole}.{rest:0{places}d}" if places else f"{sign}{whole}"


def parse_minor(text: str, currency: str) -> int | None:
    """Minor units of a decimal text such as `12.3`; None where it is none, or finer than those.

    No sign, no exponent, no grouping.
    """
    match = _DECIMAL.fullmatch(text)
    if match is None:
        return None
    places = PLACES[currency]
    decimals = (match[2] or "").ljust(places, "0")
    if decimals[places:].strip("0"):
        return None
    return int(match[1] + decimals[:places])
