"""The password: what may be one, and how it is hashed.

Law: a password is never kept, logged or shown; what is kept is Argon2id's own text with its
parameters, so that they can be raised. A composition rule is no measure of strength: a score is.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Final

from relayd.core.errors import RelayError

CHARS_MIN: Final = 10
CHARS_MAX: Final = 256
"""Above this nothing is hashed: the work must have a limit."""
SCORED_CHARS_MAX: Final = 72
"""The score of a longer one would take long, and the rest of it can only help."""
SCORE_MIN: Final = 3
WORD_CHARS_MIN: Final = 4
REST_CHARS_MIN: Final = 8
TIME_COST: Final = 2
MEMORY_KIB: Final = 19_456
LANES: Final = 1
HASH_BYTES: Final = 32
SALT_BYTES: Final = 16


def prepared(text: str) -> str:
    """The form that is hashed: one composition, so that every keyboard types the same password.

    Raises RelayError `weak_password` where it is longer than anything that may be one.
    """
    if len(text) > CHARS_MAX:
        raise RelayError("weak_password", param="password")
    return unicodedata.normalize("NFC", text)


def check_length(text: str) -> str:
    """A new password's prepared form. Raises RelayError `weak_password` where it is too short."""
    text = prepared(text)
    if len(text) < CHARS_MIN:
        raise RelayError("weak_password", param="password")
    return text


def check_apart(text: str, words: Iterable[str]) -> None:
    """Raises RelayError `weak_password` where what is known of its owner is nearly all of it."""
    rest = text.casefold()
    for word in sorted(words, key=len, reverse=True):
        if len(word) >= WORD_CHARS_MIN:
            rest = rest.replace(word.casefold(), "")
    if len(rest) < REST_CHARS_MIN:
        raise RelayError("weak_password", param="password")


def check_score(score: int) -> None:
    """Raises RelayError `weak_password` where a guesser would soon have it."""
    if score < SCORE_MIN:
        raise RelayError("weak_password", param="password")
