"""The table of mails, its waits, and links that nobody can forge."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.errors import RelayError
from relayd.core.mail import (
    GIVE_UP_MS, MAIL_CLASSES, MAIL_KINDS, MINUTE_MS, RETRY_MOST_MS, kind_of, needs_consent,
    read_unsubscribe_token, retry_ms, unsubscribe_token,
)

SECRET = bytes(range(32))


def test_a_mail_says_what_its_kind_says() -> None:
    assert kind_of("locked_out", {"at": "", "minutes": "", "link": ""}).mail_class == "service"
    for fields in ({}, {"at": ""}, {"at": "", "minutes": "", "link": "", "more": ""}):
        with pytest.raises(AssertionError):
            kind_of("locked_out", fields)
    with pytest.raises(AssertionError):
        kind_of("nonsense", {})


def test_every_class_is_used_and_only_service_goes_without_consent() -> None:
    assert {kind.mail_class for kind in MAIL_KINDS.values()} == set(MAIL_CLASSES)
    assert [name for name in MAIL_CLASSES if not needs_consent(name)] == ["service"]


def test_waits_double_to_a_bound_and_end_within_days() -> None:
    waits = [retry_ms(attempts) for attempts in range(1, 12)]
    assert waits[:4] == [MINUTE_MS, 2 * MINUTE_MS, 4 * MINUTE_MS, 8 * MINUTE_MS]
    assert waits[-1] == RETRY_MOST_MS == retry_ms(10**6) and retry_ms(0) == MINUTE_MS
    assert 20 <= (GIVE_UP_MS - sum(waits)) // RETRY_MOST_MS + len(waits) <= 40


@pytest.mark.parametrize("mail_class", ["product", "marketing"])
def test_a_link_says_whose_and_which(mail_class: str) -> None:
    token = unsubscribe_token(SECRET, "acct_1", mail_class)  # type: ignore[arg-type]
    assert read_unsubscribe_token(SECRET, token) == ("acct_1", mail_class)
    assert all(c.isalnum() or c in "-_." for c in token)


def test_service_mail_has_no_such_link() -> None:
    with pytest.raises(AssertionError):
        unsubscribe_token(SECRET, "acct_1", "service")


@given(st.data())
def test_a_link_that_was_changed_is_not_ours(data: st.DataObject) -> None:
    token = unsubscribe_token(SECRET, "acct_1", "marketing")
    at = data.draw(st.integers(0, len(token) - 2))
    other = data.draw(st.sampled_from("abcXYZ019-_.").filter(lambda c: c != token[at]))
    changed = token[:at] + other + token[at + 1:]
    try:
        assert read_unsubscribe_token(SECRET, changed) == ("acct_1", "marketing")
        # base64 has spare bits at the end of a part: the same bytes in other letters
        assert token.index(".") - 1 == at
    except RelayError as error:
        assert error.code == "token_not_usable"


@pytest.mark.parametrize("text", ["", ".", "a.b", "é.é", "x" * 5000])
def test_nonsense_is_no_link(text: str) -> None:
    with pytest.raises(RelayError):
        read_unsubscribe_token(SECRET, text)
    with pytest.raises(RelayError):
        read_unsubscribe_token(bytes(32), unsubscribe_token(SECRET, "acct_1", "product"))
