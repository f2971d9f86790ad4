"""Amounts in upper-case Chinese words, as vouchers and fapiao carry them (壹佰贰拾叁圆肆角伍分).

Law: the words come from whole fen and say exactly that amount. The choices that the rules for
vouchers leave open are made once, here: 圆 for the unit, 整 after 圆 and 角, no 零 where the rules
allow to leave it out (a unit or a wan place of 0 before a jiao or a qian that is none).
"""

from __future__ import annotations

from typing import Final

FEN_MAX: Final = 10 ** 14 - 1
"""999,999,999,999.99 yuan: below a wan-yi."""
NEGATIVE: Final = "（负数）"
_DIGITS: Final = "零壹贰叁肆伍陆柒捌玖"
_PLACES: Final = ("", "拾", "佰", "仟")
_SECTIONS: Final = ("", "万", "亿")
_SECTION: Final = 10_000


def amount_words(fen: int) -> str:
    """The words of an amount; ValueError beyond FEN_MAX."""
    if abs(fen) > FEN_MAX:
        raise ValueError("amount")
    if fen < 0:
        return NEGATIVE + amount_words(-fen)
    yuan, rest = divmod(fen, 100)
    jiao, cent = divmod(rest, 10)
    if not fen:
        return "零圆整"
    words = _whole(yuan) + "圆" if yuan else ""
    if not rest:
        return words + "整"
    if not jiao:
        return words + ("零" if yuan else "") + f"{_DIGITS[cent]}分"
    return words + f"{_DIGITS[jiao]}角" + (f"{_DIGITS[cent]}分" if cent else "整")


def _whole(number: int) -> str:
    """The words of a whole number above 0, by sections of four digits."""
    sections = []
    while number:
        number, section = divmod(number, _SECTION)
        sections.append(section)
    words = ""
    gap = False
    for place in reversed(range(len(sections))):
        section = sections[place]
        if not section:
            gap = True
            continue
        # one 零 for zeros between: a whole section of them, or those at this one's head
        if words and (gap or section < _SECTION // 10):
            words += "零"
        words += _section(section) + _SECTIONS[place]
        gap = False
    return words


def _section(number: int) -> str:
    words = ""
    gap = False
    for place in reversed(range(4)):
        digit = number // 10 ** place % 10
        if digit:
            words += ("零" if gap and words else "") + _DIGITS[digit] + _PLACES[place]
            gap = False
        else:
            gap = True
    return words
