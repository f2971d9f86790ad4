"""Accounts: states move by the table alone; e-mail addresses are compared without case."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.account import (
    ACCOUNT_MOVES, ACCOUNT_STATES, EMAIL_CHARS_MAX, Account, advance, check_email, check_label,
    folded,
)
from relayd.core.errors import RelayError


@pytest.mark.parametrize("state", ACCOUNT_STATES)
@pytest.mark.parametrize("move", ["suspend", "resume", "erase", "revoke"])
def test_states_move_by_the_table_and_no_other_way(state: str, move: str) -> None:
    if (state, move) in ACCOUNT_MOVES:
        expected = ACCOUNT_MOVES[state, move]  # type: ignore[index]
        assert advance(state, move) == expected  # type: ignore[arg-type]
        return
    with pytest.raises(RelayError) as caught:
        advance(state, move)  # type: ignore[arg-type]
    assert caught.value.code == "account_state"


def test_erased_is_the_end() -> None:
    assert {after for (before, _), after in ACCOUNT_MOVES.items() if before == "erased"} == {
        "erased"}


@pytest.mark.parametrize("email", [
    "a@b", "Ann.O'Neil+x@ex.org", "ünï@exämple.org", " a@b.c ", "a" * (EMAIL_CHARS_MAX - 2) + "@b",
])
def test_takes_addresses(email: str) -> None:
    assert check_email(email) == email.strip()


@pytest.mark.parametrize("email", [
    "", "a", "@", "a@", "@b", "a@b@c", "a b@c", "a@b\n.c", "a\x1b[31m@b",
    "a" * (EMAIL_CHARS_MAX - 4) + "@b.cd",
])
def test_refuses_what_is_no_address(email: str) -> None:
    with pytest.raises(RelayError) as caught:
        check_email(email)
    assert caught.value.code == "invalid_email" and caught.value.param == "email"


@given(st.text(max_size=20))
def test_folding_forgets_case(text: str) -> None:
    assert folded(text.upper()) == folded(folded(text.upper()))
    assert folded("STRASSE@Example.ORG") == folded("straße@example.org") == "strasse@example.org"


def test_folding_forgets_composition() -> None:
    assert folded("e\u0301@b") == folded("\u00c9@B")


@pytest.mark.parametrize("text", ["", "  ", "a\nb", "\x1b[2J", "x" * 11, "\ud800", "\u200d",
                                  "a\u202eb", "a\u200bb"])
def test_refuses_labels_that_cannot_be_shown(text: str) -> None:
    with pytest.raises(RelayError) as caught:
        check_label(text, "name", 10)
    assert caught.value.code == "invalid_value" and caught.value.param == "name"


def test_takes_labels() -> None:
    assert check_label(" Ann Ö ", "name", 10) == "Ann Ö"
    # a family in one sign, Persian with a half space, Chinese and French spaces
    for text in ("👩\u200d👧", "می\u200cخواهم", "生产\u3000环境", "ça\u202fva\u00a0?"):
        assert check_label(text, "name", 10) == text


def test_a_repr_shows_nobody() -> None:
    shown = repr(Account("acct_1", "ann@example.org", "Ann", "active", 0))
    assert "example" not in shown and "Ann" not in shown and "acct_1" in shown
