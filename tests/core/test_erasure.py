"""Erasure: the table of states and its complement, the cooling-off, the certificate's bytes."""

from __future__ import annotations

from itertools import product

import pytest

from relayd.core.erasure import (
    CAUSES, COOLING_MS, FATES, GOES, MOVES, PARTS, STATES, STAYS, Certificate, Kept, advance,
    due_at_ms, signed_bytes,
)
from relayd.core.errors import RelayError
from relayd.core.retention import BY_NAME


@pytest.mark.parametrize(("state", "move"), list(product(STATES, ("cancel", "erase"))))
def test_the_table_and_its_complement(state: str, move: str) -> None:
    if (state, move) in MOVES:
        assert advance(state, move) == MOVES[state, move]  # type: ignore[arg-type, index]
    else:
        with pytest.raises(RelayError) as caught:
            advance(state, move)  # type: ignore[arg-type]
        assert caught.value.code == "erasure_state"


def test_Y2_seven_days_to_think_again_but_none_for_a_minor() -> None:
    assert COOLING_MS == 7 * 86_400_000
    assert {cause: due_at_ms(cause, 5) for cause in CAUSES} == {
        "holder": 5 + COOLING_MS, "operator": 5 + COOLING_MS, "dormant": 5 + COOLING_MS,
        "minor": 5}
    assert due_at_ms("operator", 5, at_once=True) == 5


def test_what_stays_has_a_category_that_says_how_long() -> None:
    assert {part.fate for part in PARTS} == set(FATES)
    assert all(part.until in BY_NAME for part in STAYS)
    assert {part.fate for part in GOES} == {"shred", "delete", "empty"}
    assert {part.fate for part in STAYS} == {"vault", "keep"}


def test_signed_bytes_do_not_depend_on_order() -> None:
    kept = Kept("orders", 2, "2029-01-01T00:00:00.000Z", "law")
    one, other = (
        Certificate(erasure="era_1", account="acct_1", cause="holder", asked_at="a",
                    erased_at="b", erased=erased, kept=(kept,))
        for erased in ({"keys": 1, "profile": 2}, {"profile": 2, "keys": 1}))
    assert signed_bytes(one) == signed_bytes(other)
    assert signed_bytes(one).startswith(b'{"account":"acct_1","asked_at":"a","cause"')
