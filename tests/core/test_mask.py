"""Masking shows one character of each side of an address."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relayd.core.mask import masked


def test_an_address_and_a_name() -> None:
    assert masked("leon@example.org") == "l***@e***"
    assert masked("Ann") == "A***" and masked("") == "***"


@given(st.text(max_size=300))
def test_it_never_shows_more(text: str) -> None:
    assert len(masked(text)) <= 10
