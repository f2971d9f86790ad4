"""Challenges: ours, for one purpose, and fresh."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.passkey import CHALLENGE_MS, Passkey, challenge, fresh

MADE = challenge(b"secret", "sign in", bytes(16), 1000)


def test_a_challenge_is_ours_for_one_purpose_and_a_while() -> None:
    assert fresh(b"secret", "sign in", MADE, 1000)
    assert fresh(b"secret", "sign in", MADE, 1000 + CHALLENGE_MS - 1)
    assert not fresh(b"secret", "sign in", MADE, 1000 + CHALLENGE_MS)
    assert not fresh(b"secret", "sign in", MADE, 999)
    assert not fresh(b"secret", "add acct_1", MADE, 1000)
    assert not fresh(b"other", "sign in", MADE, 1000)
    with pytest.raises(AssertionError):
        challenge(b"secret", "sign in", bytes(15), 0)


@given(st.binary(max_size=80))
def test_what_is_made_up_is_not(given_bytes: bytes) -> None:
    assert not fresh(b"secret", "sign in", given_bytes, 1000)


def test_nothing_of_a_passkey_is_in_its_repr() -> None:
    shown = repr(Passkey("pk_1", "acct_1", b"credential", b"public", "my phone", 0, 0))
    assert "credential" not in shown.replace("credential=", "") and "phone" not in shown
