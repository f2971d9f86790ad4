"""Passwords: one composition, a least and a greatest length, a least score."""

from __future__ import annotations

import pytest

from relayd.core.errors import RelayError
from relayd.core.password import CHARS_MAX, check_apart, check_length, check_score, prepared


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
