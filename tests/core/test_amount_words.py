"""Upper-case amounts: a table of 200, made by another program or by hand, and what words say."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.amount_words import FEN_MAX, NEGATIVE, amount_words

TABLE = Path(__file__).with_name("amount_words.tsv")
DIGITS = {word: value for value, word in enumerate("零壹贰叁肆伍陆柒捌玖")}
PLACES = {"拾": 10, "佰": 100, "仟": 1000}


def table() -> dict[int, str]:
    lines = TABLE.read_text("utf-8").splitlines()
    return {int(fen): words for fen, words in (line.split("\t") for line in lines)}


def read(words: str) -> int:
    """The fen of an amount in words, read as people do."""
    if words.startswith(NEGATIVE):
        return -read(words.removeprefix(NEGATIVE))
    yuan, _, rest = words.rpartition("圆")
    fen, digit = _read_whole(yuan) * 100, 0
    for character in rest:
        digit = DIGITS.get(character, digit)
        fen += digit * {"角": 10, "分": 1}.get(character, 0)
    return fen


def _read_whole(words: str) -> int:
    total = section = digit = 0
    for character in words:
        if character in DIGITS:
            digit = DIGITS[character]
        elif character in PLACES:
            section, digit = section + digit * PLACES[character], 0
        else:
            total += (section + digit) * {"万": 10 ** 4, "亿": 10 ** 8}[character]
            section = digit = 0
    return total + section + digit


def test_table_of_200() -> None:
    rows = table()
    assert len(rows) == 200
    assert {fen: amount_words(fen) for fen in rows} == rows


@given(st.integers(-FEN_MAX, FEN_MAX))
def test_words_say_the_amount(fen: int) -> None:
    words = amount_words(fen)
    assert read(words) == fen
    assert "零零" not in words and not words.startswith("零") or fen == 0


@pytest.mark.parametrize("fen", [FEN_MAX + 1, -FEN_MAX - 1])
def test_too_large(fen: int) -> None:
    with pytest.raises(ValueError, match="amount"):
        amount_words(fen)
