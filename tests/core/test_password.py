"""Passwords: one composition, a least and a greatest length, a least score."""

from __future__ import annotations

import pytest

from relayd.core.errors import RelayError
from relayd.core.password import (
    CHARS_MAX, HASH_BYTES, LANES, MEMORY_KIB, SALT_BYTES, TIME_COST, check_apart, check_length,
    check_score, prepared,
)


def test_one_composition() -> None:
    assert prepared("pa\u0308ss") == prepared("p\u00e4ss") == "p\u00e4ss"


@pytest.mark.parametrize("text", ["", "ninechars", "x" * (CHARS_MAX + 1)])
def test_what_is_too_short_or_too_long(text: str) -> None:
    with pytest.raises(RelayError) as caught:
        check_length(text)
    assert caught.value.code == "weak_password" and caught.value.param == "password"
    assert text == "" or text not in str(caught.value)


def test_what_may_be_one() -> None:
    assert check_length("ten  chars") == "ten  chars"
    assert len(check_length("x" * CHARS_MAX)) == CHARS_MAX


def test_the_score() -> None:
    check_score(3)
    check_score(4)
    for score in (0, 1, 2):
        with pytest.raises(RelayError):
            check_score(score)


def test_what_is_known_of_its_owner_is_no_part_of_it() -> None:
    words = ("Canary.Person@example.org", "Canary", "Person", "ann")
    for text in ("Canary.Person99", "personCANARY1", "canary.person@example.org"):
        with pytest.raises(RelayError):
            check_apart(text, words)
    check_apart("canary four words more", words)
    check_apart("annannannann", words)


@pytest.mark.parametrize(("text", "words", "fits"), [
    ("canary12345678", ["canary"], True), ("canary1234567", ["canary"], False),
    # shorter words than four letters are in anything
    ("anna12345678", ["anna"], True), ("anna1234567", ["anna"], False),
    ("ann12345", ["ann"], True),
    # the longer of two words is taken out first
    ("ann.canary12345678", ["canary", "ann.canary"], True),
    ("ann.canary1234567", ["canary", "ann.canary"], False),
])
def test_what_is_left_of_it_is_long_enough(text: str, words: list[str], fits: bool) -> None:
    if fits:
        return check_apart(text, words)
    with pytest.raises(RelayError) as caught:
        check_apart(text, words)
    assert caught.value.code == "weak_password"


def test_the_work_of_a_guess_is_what_owasp_asks_for_at_least() -> None:
    assert MEMORY_KIB >= 19 * 1024 and TIME_COST >= 2 and LANES == 1
    assert HASH_BYTES >= 32 and SALT_BYTES >= 16
