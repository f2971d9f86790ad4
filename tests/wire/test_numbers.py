"""Long JSON: the same values and refusals as msgspec's own, and bodies of numbers are noticed."""

from __future__ import annotations

import base64
import json
import random
import time

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relayd.wire.numbers import decode_long, is_decimal

_DIGITS = st.text("0123456789", min_size=1, max_size=30)
_NUMBERS = st.builds(
    lambda sign, whole, rest, exponent: f"{sign}{whole}{rest}{exponent}",
    st.sampled_from(["", "-"]), _DIGITS,
    st.one_of(st.just(""), _DIGITS.map(lambda digits: "." + digits)),
    st.one_of(st.just(""), st.integers(-400, 400).map("e{}".format),
              st.integers(0, 400).map("E+{}".format)))


@given(_NUMBERS)
@example("1e309")
@example("-1e999")
@example("-0.0")
@example("1.")
@example("2.2250738585072011e-308")
@example("9007199254740993.0000000000000000000001")
def test_numbers_are_what_they_are_to_msgspec(text: str) -> None:
    raw = b'{"a":[%b]}' % text.encode()
    try:
        usual = repr(msgspec.json.decode(raw))
    except msgspec.DecodeError:
        usual = "refused"
    try:
        assert repr(decode_long(raw)) == usual
    except msgspec.DecodeError as error:
        assert usual == "refused" and text not in str(error)


def slow(count: int) -> bytes:
    rolls = random.Random(1)
    return json.dumps([f"@{rolls.randrange(10 ** 22)}e-300@" for _ in range(count)]).replace(
        '"@', "1.").replace('@"', "").encode()


def test_decimals_that_take_msgspec_long_do_not() -> None:
    raw = slow(3000)
    assert is_decimal(raw)

    def seconds(decode: object) -> float:
        began = time.perf_counter()
        assert len(decode(raw)) == 3000  # type: ignore[operator]
        return time.perf_counter() - began

    long = min(seconds(decode_long) for _ in range(5))
    usual = min(seconds(msgspec.json.decode) for _ in range(5))
    assert long < usual / 2


@pytest.mark.parametrize(("raw", "decimal"), [
    (json.dumps([[0.25, 12345]] * 9000).encode(), True),
    (json.dumps(list(range(50_000))).encode(), False),
    (b"[%b]" % b",".join([b"1e-300"] * 30_000), True),
    (b'{"content":"%b"}' % (b"A line of 2026, and 3 more words.\n" * 9000), False),
    (b'{"image":"%b"}' % base64.b64encode(random.Random(2).randbytes(200_000)), False),
    (b"x", False), (b"", False),
])
def test_what_is_decimal(raw: bytes, decimal: bool) -> None:
    assert is_decimal(raw) is decimal
