"""Grants: what expires first is spent first; codes have a form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.grant import Grant, looks_like_code, mint_code, order, spent


def grant(number: int, left: int, expires: int | None) -> Grant:
    return Grant(f"g{number}", "a", "USD", left + 1, left, "code", number, expires)


def test_what_expires_first_is_spent_first() -> None:
    never, late, soon = grant(1, 10, None), grant(2, 10, 200), grant(3, 10, 100)
    assert spent([never, late, soon], 25) == [(soon, 10), (late, 10), (never, 5)]
    assert spent([never], 0) == []
    with pytest.raises(AssertionError):
        spent([soon], 11)


@given(st.lists(st.tuples(st.integers(0, 100), st.none() | st.integers(0, 9))), st.data())
def test_parts_are_of_what_is_left(
    rows: list[tuple[int, int | None]], data: st.DataObject,
) -> None:
    grants = [grant(number, *row) for number, row in enumerate(rows)]
    nano = data.draw(st.integers(0, sum(g.left_nano for g in grants)))
    parts = spent(grants, nano)
    assert sum(part for _, part in parts) == nano
    assert all(0 < part <= each.left_nano for each, part in parts)
    assert [order(each) for each, _ in parts] == sorted(order(each) for each, _ in parts)
    assert all(part == each.left_nano for each, part in parts[:-1])


@given(st.binary(min_size=16, max_size=16))
def test_codes_have_their_form(random16: bytes) -> None:
    assert looks_like_code(mint_code(random16))


@pytest.mark.parametrize("size", [0, 15, 17])
def test_a_code_takes_16_octets(size: int) -> None:
    with pytest.raises(AssertionError):
        mint_code(bytes(size))


@pytest.mark.parametrize("text", ["", "relayd-", "relayd-" + "a" * 21, "relayd-" + "é" * 22])
def test_other_texts_are_no_codes(text: str) -> None:
    assert not looks_like_code(text)
