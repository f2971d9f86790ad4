"""The account: who pays, and owns keys.

Law: states move by the table alone. An erased account keeps its id, so that its records still add
up, and nothing else.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import Final, Literal

from relayd.core.errors import RelayError

EMAIL_CHARS_MAX: Final = 254
"""RFC 5321 section 4.5.3.1.3: a path is at most 256 octets with its angle brackets."""
NAME_CHARS_MAX: Final = 200
_UNSEEN: Final = dict.fromkeys(map(
    ord, "\u00a0\u2002\u2003\u2009\u202f\u3000\u200c\u200d\u200e\u200f"))
"""What people write and paste, though Python calls it not printable: spaces that do not break or
are of another width, such as Chinese paragraphs begin with, and what joins or turns letters."""

AccountState = Literal["unverified", "active", "suspended", "closing", "terminated", "erased"]
AccountMove = Literal["verify", "suspend", "resume", "close", "reopen", "terminate", "erase"]
ACCOUNT_STATES: Final[tuple[AccountState, ...]] = (
    "unverified", "active", "suspended", "closing", "terminated", "erased")
ACCOUNT_MOVES: Final[dict[tuple[AccountState, AccountMove], AccountState]] = {
    ("unverified", "verify"): "active",
    ("active", "suspend"): "suspended",
    ("suspended", "resume"): "active",
    # its owner wants it erased, and may think again for some days
    ("active", "close"): "closing",
    ("suspended", "close"): "closing",
    ("closing", "reopen"): "active",
    ("active", "terminate"): "terminated",
    ("suspended", "terminate"): "terminated",
    ("closing", "terminate"): "terminated",
    ("unverified", "erase"): "erased",
    ("active", "erase"): "erased",
    ("suspended", "erase"): "erased",
    ("closing", "erase"): "erased",
    ("terminated", "erase"): "erased",
    # asking twice is harmless
    ("active", "verify"): "active",
    ("suspended", "suspend"): "suspended",
    ("active", "resume"): "active",
    ("closing", "close"): "closing",
    ("terminated", "terminate"): "terminated",
    ("erased", "erase"): "erased",
}
Language = Literal["en", "zh"]
LANGUAGES: Final[tuple[Language, ...]] = ("en", "zh")


@dataclass(frozen=True, slots=True)
class Account:
    """An account. What is personal is None once it is erased, and is never in a repr.

    Its keys work while it is `active`. `reason` is a code: why it was suspended or terminated.
    `country` is what its owner says (ISO 3166-1, two letters).
    """

    id: str
    email: str | None = field(repr=False)
    name: str | None = field(repr=False)
    state: AccountState
    created_at_ms: int
    username: str | None = field(repr=False, default=None)
    state_since_ms: int = 0
    reason: str | None = None
    language: Language = "en"
    country: str | None = field(repr=False, default=None)


def advance(state: AccountState, move: AccountMove) -> AccountState:
    """The state after a move. Raises RelayError `account_state` where the table has no row."""
    try:
        return ACCOUNT_MOVES[state, move]
    except KeyError:
        raise RelayError("account_state") from None


def folded(email: str) -> str:
    """The form in which e-mail addresses are compared: case and composition do not matter."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", email).casefold())


def check_email(email: str) -> str:
    """The address without surrounding space. Raises RelayError `invalid_email`.

    Only what would make it unusable is refused: who owns an address is found out by writing to it.
    """
    email = email.strip()
    local, _, domain = email.rpartition("@")
    plain = email.isprintable() and " " not in email and "@" not in local
    if not (local and domain and plain and len(email) <= EMAIL_CHARS_MAX):
        raise RelayError("invalid_email", param="email")
    return email


def is_written(text: str) -> bool:
    """Whether all of a line can be shown, and something of it is seen."""
    plain = text.translate(_UNSEEN)
    return plain.isprintable() and not plain.isspace() and plain != ""


def check_label(text: str, field_name: str, chars_max: int) -> str:
    """A name or label for people: can be shown, not empty, bounded. Raises `invalid_value`."""
    text = text.strip()
    if not is_written(text) or len(text) > chars_max:
        raise RelayError("invalid_value", param=field_name)
    return text
