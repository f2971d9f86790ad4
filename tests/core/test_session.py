"""Sessions: tokens of 256 bits, and the three clocks that end or close one."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.session import (
    AGE_MS_MAX, IDLE_MS_MAX, PROOF_MS, Session, alive, digest, ends_at_ms, looks_valid, mint,
    proved,
)

SESSION = Session("sess_1", "acct_1", "open", "password", "Firefox on Linux", "192.0.2.7",
                  1000, 1000, 1000)


@given(st.binary(min_size=32, max_size=32))
def test_a_token_has_its_form_and_is_known_by_its_hash(random32: bytes) -> None:
    token = mint(random32)
    assert looks_valid(token) and len(token) == 46
    assert digest(token) == hashlib.sha256(token.encode()).digest()


@pytest.mark.parametrize("text", ["", "rs_", "rs_" + "a" * 42, "rs_" + "a" * 44, "sk_" + "a" * 43,
                                  "rs_" + "é" * 43, "rs_" + "a" * 43 + "\n"])
def test_junk_has_not(text: str) -> None:
    assert not looks_valid(text)


def test_the_clocks() -> None:
    hour_ms = 60 * 60 * 1000
    assert (AGE_MS_MAX, IDLE_MS_MAX, PROOF_MS) == (30 * 24 * hour_ms, 24 * hour_ms, hour_ms // 4)


def test_a_token_takes_256_bits() -> None:
    with pytest.raises(AssertionError):
        mint(bytes(31))


def test_it_ends_by_idleness_and_by_age() -> None:
    assert alive(SESSION, 1000 + IDLE_MS_MAX - 1)
    assert not alive(SESSION, 1000 + IDLE_MS_MAX)
    used = replace(SESSION, used_at_ms=1000 + AGE_MS_MAX - 5)
    assert alive(used, 1000 + AGE_MS_MAX - 1) and not alive(used, 1000 + AGE_MS_MAX)
    assert ends_at_ms(SESSION) == 1000 + IDLE_MS_MAX and ends_at_ms(used) == 1000 + AGE_MS_MAX


def test_a_proof_lasts_a_quarter_of_an_hour_and_needs_an_open_session() -> None:
    assert proved(SESSION, 1000 + PROOF_MS - 1) and not proved(SESSION, 1000 + PROOF_MS)
    assert not proved(replace(SESSION, stage="factor"), 1001)


def test_a_session_of_a_clock_that_was_years_ahead_lasts_no_years() -> None:
    assert alive(SESSION, 1000 - IDLE_MS_MAX + 1) and not alive(SESSION, 1000 - IDLE_MS_MAX)
    used = replace(SESSION, used_at_ms=1000 - AGE_MS_MAX)
    assert not alive(used, 1000 - AGE_MS_MAX)
    assert not proved(SESSION, 1000 - PROOF_MS)


def test_the_address_is_in_no_repr() -> None:
    assert "192.0.2.7" not in repr(SESSION)
