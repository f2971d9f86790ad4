"""One-time codes, held against RFC 6238's own and pyotp; a step is used once."""

from __future__ import annotations

from dataclasses import replace

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.totp import (
    Totp, code_at, matching_step, recovery_code, recovery_digest, secret_text, uri,
)

SECRET = b"12345678901234567890"
TOTP = Totp("acct_1", SECRET, True, -1, 0)


@pytest.mark.parametrize(("seconds", "code"), [
    (59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130"),
])
def test_the_codes_of_rfc_6238(seconds: int, code: str) -> None:
    assert code_at(SECRET, seconds // 30) == code


@given(st.binary(min_size=20, max_size=20), st.integers(0, 4_000_000_000))
def test_the_codes_of_pyotp(secret: bytes, seconds: int) -> None:
    assert code_at(secret, seconds // 30) == pyotp.TOTP(secret_text(secret)).at(seconds)


def test_clocks_may_be_a_step_off() -> None:
    for step, right in ((98, False), (99, True), (100, True), (101, True), (102, False)):
        found = matching_step(TOTP, code_at(SECRET, step), 100 * 30_000)
        assert found == (step if right else None)


def test_a_step_is_used_once() -> None:
    code = code_at(SECRET, 100)
    assert matching_step(TOTP, f"{code[:3]} {code[3:]}", 100 * 30_000) == 100
    used = replace(TOTP, last_step=100)
    assert matching_step(used, code, 100 * 30_000) is None
    assert matching_step(used, code_at(SECRET, 99), 100 * 30_000) is None


@pytest.mark.parametrize("last_step", [102, 2_000_000])
def test_a_step_that_was_used_while_the_clock_was_ahead_bars_none(last_step: int) -> None:
    used = replace(TOTP, last_step=last_step)
    assert matching_step(used, code_at(SECRET, 100), 100 * 30_000) == 100
    # and is itself used once, when it comes
    assert matching_step(used, code_at(SECRET, last_step), last_step * 30_000) is None
    # one of an authenticator that is ahead bars the ones before
    ahead = replace(TOTP, last_step=101)
    assert matching_step(ahead, code_at(SECRET, 100), 100 * 30_000) is None


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "-12345"])
def test_what_is_no_code(code: str) -> None:
    assert matching_step(TOTP, code, 0) is None


def test_the_uri_is_read_by_pyotp() -> None:
    read = pyotp.parse_uri(uri(SECRET, "My relay", "ann@example.org"))
    assert (read.issuer, read.name, read.secret) == (
        "My relay", "ann@example.org", secret_text(SECRET))


def test_recovery_codes() -> None:
    code = recovery_code(bytes(range(10)))
    assert code == "aaaq-eaye-auda-ocaj"
    assert recovery_digest("a", code) == recovery_digest("a", code.upper().replace("-", " "))
    assert recovery_digest("a", code) != recovery_digest("b", code)
    with pytest.raises(AssertionError):
        recovery_code(bytes(9))


def test_the_secret_is_in_no_repr() -> None:
    assert "12345678" not in repr(TOTP)
