"""Long JSON read in a time that its length bounds, whatever numbers are in it.

msgspec takes 16 us for a decimal of 17 digits and more with a low exponent, where `float` takes
one: 1 MB of such held the event loop for half a second, and no other thread could run meanwhile.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

LONG_BYTES_MIN: Final = 6 * 1024
"""Shorter texts take 3 ms at worst, and most are read sooner without a function for decimals."""
STRIDE: Final = 61
"""Of so many octets one is looked at; no step of a usual table."""
DIGITS_PERCENT: Final = 20
"""Base64 has 16 of a hundred, code and prose have fewer, tables of numbers 50 to 90."""
_DECIMAL: Final = b".eE"


def double(text: str) -> float:
    """A decimal's value; raises msgspec.ValidationError, a ValueError, for one out of range."""
    value = float(text)
    if math.isinf(value):
        raise msgspec.ValidationError
    return value


decode_long: Final = msgspec.json.Decoder(float_hook=double).decode
"""As msgspec's own decoder: the same values, the same refusals."""


def is_decimal(raw: bytes) -> bool:
    """Whether much of a long body is decimals; 20 us for 1 MB."""
    sample = raw[::STRIDE]
    rest = sample.translate(None, b"0123456789")
    if (len(sample) - len(rest)) * 100 <= len(sample) * DIGITS_PERCENT:
        return False
    return (len(rest) - len(rest.translate(None, _DECIMAL))) * 200 > len(sample)
