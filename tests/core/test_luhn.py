"""Card numbers are seen in every writing; what is none passes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core import luhn
from relayd.core.uscc import is_uscc

# the numbers that payment partners give out for tests
CARDS = ("4242424242424242", "4000056655665556", "5555555555554444", "378282246310005",
         "6011111111111117", "3056930009020004", "36227206271667", "6205500000000000004",
         "3566002020360505", "4222222222222")


@pytest.mark.parametrize("number", CARDS)
def test_cards(number: str) -> None:
    grouped = " ".join(number[at:at + 4] for at in range(0, len(number), 4))
    wide = "".join(chr(ord(digit) + 0xFEE0) for digit in number)
    for text in (number, grouped, grouped.replace(" ", "-"), grouped.replace(" ", "\u2013"),
                 wide, f"my card is {number}, thanks", f"a{number}b", "\u00a0".join(number)):
        assert luhn.has_card_number(text), text


def test_digits_within_one_character() -> None:
    assert luhn.has_card_number("\u32b7" * 8)  # 42 in a circle
    assert luhn.has_card_number("\U0001d7dc\U0001d7da" * 8)  # bold ones, which are not remembered
    assert max(luhn._DECIMALS) < luhn.ONE_PLANE


@pytest.mark.parametrize("number", CARDS)
def test_a_digit_off_is_none(number: str) -> None:
    for place, digit in enumerate(number):
        other = str((int(digit) + 1) % 10)
        assert not luhn.has_card_number(number[:place] + other + number[place + 1:])


@pytest.mark.parametrize("text", [
    "", "hello", "123456789012", "ord_01JD0000000000000000000000", "0086 755 1234 5678",
    # a fapiao's number has 20 digits, whatever parts of it would pass
    "24312000000123456784", "4242424242424242" + "0000",
])
def test_what_is_none(text: str) -> None:
    assert not luhn.has_card_number(text)


@given(st.text("0123456789", min_size=12, max_size=18))
def test_the_check_digit_completes_any_number(first: str) -> None:
    passing = [digit for digit in "0123456789" if luhn.is_luhn(first + digit)]
    assert len(passing) == 1
    assert luhn.has_card_number(first + passing[0])


def test_fields() -> None:
    assert luhn.card_field({"name": "Ada", "note": "4242 4242 4242 4242"}) == "note"
    assert luhn.card_field([("a", "1"), ("4242424242424242", "x")]) == "name"
    assert luhn.card_field({"name": "Ada"}) is None
    assert luhn.card_field({"bank_account": CARDS[7]}, frozenset({"bank_account"})) is None


def test_a_telephone_number_is_no_card() -> None:
    numbers = [f"86138{number:08d}" for number in range(0, 10**8, 99_991)]
    passing = [number for number in numbers if luhn.is_luhn(number)]
    assert passing and all(luhn.has_card_number(number) for number in passing)
    for number in passing:
        for text in (f"+{number}", f"+86 {number[2:5]} {number[5:9]} {number[9:]}",
                     f"call \uff0b86-{number[2:]}, please"):
            assert not luhn.has_card_number(text), text
    assert luhn.has_card_number(f"+{CARDS[0]}")
    # one of 15 digits is a telephone's too; what comes behind it is looked at
    assert not luhn.has_card_number(f"+{CARDS[3]}")
    assert luhn.has_card_number(f"+{passing[0]}, {CARDS[0]}")


def test_a_credit_code_of_digits_is_no_card() -> None:
    codes = [f"9144030019220{number:05d}" for number in range(30_000)]
    both = [code for code in codes if luhn.is_luhn(code) and is_uscc(code)]
    assert both and luhn.has_card_number(both[0])
    assert luhn.card_field({"uscc": both[0]}) is None


@pytest.mark.parametrize("drawn", [
    "313874cd-dfbc-423d-b246-548991270564", "A41244F0-8012-4771-8688-D2CEB98EBEBB",
    "4242424242424242" + "d1" * 8, "DD" * 24 + "4242424242424242",
])
def test_what_a_program_draws_is_no_card(drawn: str) -> None:
    assert luhn.has_card_number(drawn) and luhn.card_field({"idempotency_key": drawn}) is None
    # one that stands in a text is looked at as before
    assert luhn.card_field({"note": f"{drawn} x"}) == "note"
