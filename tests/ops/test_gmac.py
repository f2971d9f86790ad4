"""The keyed hash of long texts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relayd.ops.gmac import gmac

MAC = gmac()


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_texts_have_one_hash_if_they_are_the_same(one: bytes, two: bytes) -> None:
    assert (MAC(one) == MAC(two)) is (one == two)
    assert MAC(memoryview(b"x" + one)[1:]) == MAC(one)


def test_zeros_and_lengths_count() -> None:
    assert len({MAC(bytes(count)) for count in range(100)}) == 100
    text = bytes(80_000)
    assert MAC(text) == MAC(text) != MAC(text[:-1])
    assert len(MAC(text)) == 16


def test_each_has_its_own_key() -> None:
    assert gmac()(b"text") != gmac()(b"text")
