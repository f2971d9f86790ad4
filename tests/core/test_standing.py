"""Reasons are a closed list."""

from __future__ import annotations

import pytest

from relayd.core.errors import RelayError
from relayd.core.standing import REASONS, REFUND, WORDS, check_reason


def test_the_reasons_and_nothing_else() -> None:
    assert [check_reason(reason) for reason in REASONS] == list(REASONS)
    for text in ("", "Abuse", "because"):
        with pytest.raises(RelayError):
            check_reason(text)


def test_every_reason_has_words_in_both_languages() -> None:
    assert set(WORDS) == set(REASONS)
    assert all(set(words) == {"en", "zh"} for words in (*WORDS.values(), REFUND))
