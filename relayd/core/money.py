"""Money as integers: nano-units, 10^-9 of a currency.

Law: no binary fraction anywhere. A price is read from decimal digits; a sum is kept exact and is
rounded once, half up, to the nano-unit, when it becomes an amount.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

NANO: Final = 10 ** 9
"""Nano-units of one unit of a currency."""
DECIMALS: Final = 9
AMOUNT_MAX: Final = 1 << 53
"""The largest amount of one call that is stored: above 9 million units of the currency."""
CURRENCY_DEFAULT: Final = "USD"
CURRENCY: Final = re.compile(r"[A-Z]{3}")
"""A currency's code, as ISO 4217 writes it."""
_DECIMAL: Final = re.compile(r"([0-9]{1,18})(?:\.([0-9]{1,9}))?", re.ASCII)


def parse_nano(text: str) -> int | None:
    """Nano-units of a decimal text such as `0.15`; None where it is anything else.

    At most 9 decimals: what cannot be held exactly is not taken. No sign, no exponent.
    """
    match = _DECIMAL.fullmatch(text)
    if match is None:
        return None
    return int(match[1]) * NANO + int((match[2] or "").ljust(DECIMALS, "0"))


def decimal(nano: int, places: int = 0) -> str:
    """The decimal text of nano-units >= 0, exact, with at least `places` decimals.

    `parse_nano` undoes it.
    """
    digits = f"{nano % NANO:0{DECIMALS}d}".rstrip("0").ljust(places, "0")
    return f"{nano // NANO}.{digits}" if digits else str(nano // NANO)


def rounded(numerator: int, denominator: int) -> int:
    """numerator / denominator (>= 0, > 0) to a whole number, a half up."""
    return (2 * numerator + denominator) // (2 * denominator)


def split(numerators: Sequence[int], denominator: int) -> list[int]:
    """Each numerator / denominator as a whole number >= 0, so that they add up to the total.

    The total is `rounded(sum(numerators), denominator)`; a part is less than 1 off its own value.
    """
    parts = []
    sum_so_far = rounded_so_far = 0
    for numerator in numerators:
        sum_so_far += numerator
        mark = rounded(sum_so_far, denominator)
        parts.append(mark - rounded_so_far)
        rounded_so_far = mark
    return parts
