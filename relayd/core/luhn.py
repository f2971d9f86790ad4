"""Numbers that may be payment cards' (ISO/IEC 7812): they are asked for nowhere and taken nowhere.

Law: whoever reads a form gives its fields to `card_field` before anything else looks at them; a
form with such a number is refused, and what it held is neither kept nor logged.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Final

from relayd.core.uscc import is_uscc, normalised

DIGITS_MIN, DIGITS_MAX = 13, 19
PHONE_DIGITS_MAX: Final = 15
"""A number behind a plus sign that is no longer is a telephone's (ITU-T E.164 section 6)."""
_BETWEEN: Final = r"[\s.\-\u2010-\u2015\u2212]?"
_RUN: Final = re.compile(
    rf"(?<![0-9])[0-9](?:{_BETWEEN}[0-9]){{{DIGITS_MIN - 1},}}(?![0-9])")
_DRAWN: Final = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32,128}", re.ASCII | re.IGNORECASE)
"""UUIDs (RFC 9562) and hexadecimal numbers of 128 bits and more, as programs draw them."""
_DIGIT: Final = re.compile(r"[0-9]")
USCC_CHARS_MAX: Final = 64
"""A code of 18 characters, with what may stand between them."""
ONE_PLANE: Final = 0x10000
"""Characters above are rare, and not remembered."""
_OTHER: Final = "x"


class _Decimals(dict[int, str]):
    """What each character is to whoever looks for numbers, as `str.translate` takes it: its digits
    and what may stand between them, in plain form (NFKC). A text is gone through without a call
    for each character, and is not longer for those that are words of their own."""

    def __missing__(self, point: int) -> str:
        plain = unicodedata.normalize("NFKC", chr(point))
        found = "".join(_plain(character) for character in plain)
        if len(found) > 1 and not _DIGIT.search(found):
            found = _OTHER
        if point < ONE_PLANE:
            self[point] = found
        return found


def _plain(character: str) -> str:
    value = unicodedata.decimal(character, None)
    return character if value is None else str(value)


_DECIMALS: Final = _Decimals()


def is_luhn(digits: str) -> bool:
    """Whether the last of these digits is their check digit."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) << (place & 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def has_card_number(text: str) -> bool:
    """Whether 13 to 19 digits that stand together or in groups pass the check.

    Digits of other scripts and full-width ones count. A longer number is none: a fapiao's has 20.
    """
    if text.isascii():
        if len(text) < DIGITS_MIN:
            return False
        plain = text
    else:
        # a mark that joins the character before it makes no digit of it
        plain = text.translate(_DECIMALS)
    for run in _RUN.finditer(plain):
        digits = "".join(_DIGIT.findall(run[0]))
        if len(digits) <= PHONE_DIGITS_MAX and plain[run.start() - 1:run.start()] == "+":
            continue
        if len(digits) <= DIGITS_MAX and is_luhn(digits):
            return True
    return False


def card_field(fields: Mapping[str, str] | Iterable[tuple[str, str]],
               company: frozenset[str] = frozenset()) -> str | None:
    """The first field whose name or value may hold a card's number, or None.

    A value that is a Unified Social Credit Code is none: one of ten of those that are all digits
    passes Luhn's check by chance. So does one of 400 UUIDs. `company` names fields of a form that
    ask for a company's bank account, which may pass it too.
    """
    pairs = fields.items() if isinstance(fields, Mapping) else fields
    for name, value in pairs:
        if has_card_number(name):
            return "name"
        if name in company or not has_card_number(value):
            continue
        if not (_DRAWN.fullmatch(value)
                or len(value) <= USCC_CHARS_MAX and is_uscc(normalised(value))):
            return name
    return None
