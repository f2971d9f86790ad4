"""Unified social credit codes, against python-stdnum on 20,000 of them."""

from __future__ import annotations

import random

import pytest
from stdnum.cn import uscc as oracle

from relayd.core import uscc
from relayd.core.errors import RelayError

REAL = ("9144030071526726XG", "914403001922038216", "91330100799655058B", "91110000600037341L")
SEED = 20150201


def made(dice: random.Random) -> str:
    """A code: half of them right, the others with any last character or a slip of the pen."""
    first = "".join(dice.choices("0123456789", k=8)) + "".join(dice.choices(uscc.ALPHABET, k=9))
    kind = dice.randrange(4)
    if kind < 2:
        return first + uscc.check_character(first)
    if kind == 2:
        return first + dice.choice(uscc.ALPHABET + "IOSVZ")
    place = dice.randrange(17)
    slip = dice.choice("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    return first[:place] + slip + first[place + 1:] + uscc.check_character(first)


def test_20_000_codes_as_python_stdnum_says() -> None:
    dice = random.Random(SEED)
    codes = [made(dice) for _ in range(20_000)]
    assert [c for c in codes if uscc.is_uscc(c) != oracle.is_valid(c)] == []
    assert 9_000 < sum(map(uscc.is_uscc, codes)) < 12_000


@pytest.mark.parametrize("code", REAL)
def test_real_codes(code: str) -> None:
    assert uscc.check_uscc(code) == code
    assert uscc.check_uscc(f" {code[:8]} {code[8:].lower()}\u3000") == code


def test_full_width_is_the_same() -> None:
    wide = "".join(chr(ord(c) + 0xFEE0) for c in REAL[0])
    assert uscc.check_uscc(wide) == REAL[0]


@pytest.mark.parametrize("code", REAL[:2])
def test_every_slip_of_one_character_is_found(code: str) -> None:
    for place in range(18):
        for character in uscc.ALPHABET:
            changed = code[:place] + character + code[place + 1:]
            assert uscc.is_uscc(changed) == (changed == code)


@pytest.mark.parametrize("text", [
    "", "9144030071526726X", "9144030071526726XGG", "9" * 18, "ß" * 18])
def test_what_is_none(text: str) -> None:
    with pytest.raises(RelayError) as caught:
        uscc.check_uscc(text)
    assert (caught.value.code, caught.value.param) == ("invalid_uscc", "uscc")
