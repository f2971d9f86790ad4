"""Currencies: whole minor units (fen, cents), how many make one unit, and which partners take.

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
PLACES_DEFAULT: Final = 2
_OTHERS: Final = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX",
                     "UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}
"""What has not two decimals, by ISO 4217: a price may be in any currency."""
_DECIMAL: Final = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,6}))?", re.ASCII)


def places(currency: str) -> int:
    """The decimals of a currency; two where nothing else is known."""
    return _OTHERS.get(currency, PLACES_DEFAULT)


def nano_per_minor(currency: str) -> int:
    """Nano-units of one minor unit."""
    return int(10 ** (DECIMALS - places(currency)))


def to_nano(minor: int, currency: str) -> int:
    """The same amount in nano-units."""
    return minor * nano_per_minor(currency)


def whole_minor(nano: int, currency: str) -> int:
    """The whole minor units in an amount >= 0; what is finer is left over."""
    return nano // nano_per_minor(currency)


def minor_text(minor: int, currency: str) -> str:
    """As partners and people write it: `-12.30`, with all of the currency's decimals."""
    return minor_decimal(minor, places(currency))


def minor_decimal(minor: int, decimals: int) -> str:
    """The same for so many decimals."""
    sign = "-" if minor < 0 else ""
    whole, rest = divmod(abs(minor), 10 ** decimals)
    return f"{sign}{whole}.{rest:0{decimals}d}" if decimals else f"{sign}{whole}"


def parse_minor(text: str, currency: str) -> int | None:
    """Minor units of a decimal text such as `12.3`; None where it is none, or finer than those.

    No sign, no exponent, no grouping.
    """
    match = _DECIMAL.fullmatch(text)
    if match is None:
        return None
    wanted = places(currency)
    decimals = (match[2] or "").ljust(wanted, "0")
    if decimals[wanted:].strip("0"):
        return None
    return int(match[1] + decimals[:wanted])
