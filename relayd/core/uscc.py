"""The Unified Social Credit Code of a Chinese organisation (GB 32100-2015): 18 characters.

Law: a code whose check character is wrong is not taken; nothing about it is looked up anywhere.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from relayd.core.errors import RelayError

ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
"""The 31 characters of the standard, in the order of their values: no I, O, S, V, Z."""
_VALUE: Final = {character: value for value, character in enumerate(ALPHABET)}
_SHAPE: Final = re.compile(rf"[0-9]{{8}}[{ALPHABET}]{{10}}", re.ASCII)
_PREFIX_CHARS: Final = 17
_WEIGHTS: Final = tuple(pow(3, place, 31) for place in range(_PREFIX_CHARS))


def normalised(text: str) -> str:
    """The code as it is compared and printed: full-width forms, spaces and hyphens gone."""
    plain = unicodedata.normalize("NFKC", text)
    return "".join(plain.split()).replace("-", "").upper()


def check_character(first: str) -> str:
    """The 18th character for the first 17, which are of the alphabet."""
    total = sum(_VALUE[character] * weight
                for character, weight in zip(first, _WEIGHTS, strict=True))
    return ALPHABET[-total % 31]


def is_uscc(code: str) -> bool:
    """Whether a normalised code has the standard's shape and its check character."""
    return _SHAPE.fullmatch(code) is not None \
        and check_character(code[:_PREFIX_CHARS]) == code[-1]


def check_uscc(text: str) -> str:
    """The normalised code; raises RelayError `invalid_uscc`.

    Places 9 to 17 are an organisation code (GB 11714) with a check character of its own, which is
    not asked for: codes where it is wrong were given out and are valid.
    """
    code = normalised(text)
    if not is_uscc(code):
        raise RelayError("invalid_uscc", param="uscc")
    return code
