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

AccountState = Literal["active", "suspended", "erased"]
AccountMove = Literal["suspend", "resume", "erase"]
ACCOUNT_STATES: Final[tuple[AccountState, ...]] = ("active", "suspended", "erased")
ACCOUNT_MOVES: Final[dict[tuple[AccountState, AccountMove], AccountState]] = {
    ("active", "suspend"): "suspended",
    ("suspended", "resume"): "active",
    ("active", "erase"): "erased",
    ("suspended", "erase"): "erased",
    # asking twice is harmless
    ("suspended", "suspend"): "suspended",
    ("active", "resume"): "active",
    ("erased", "erase"): "erased",
}


@dataclass(frozen=True, slots=True)
class Account:
    """An account. `email` and `name` are None once it is erased, and are never in a repr."""

    id: str
    email: str | None = field(repr=False)
    name: str | None = field(repr=False)
    state: AccountState
    created_at_ms: int


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
    local, at, domain = email.rpartition("@")
    plain = email.isprintable() and " " not in email and "@" not in local
    if not (local and at and domain and plain and len(email) <= EMAIL_CHARS_MAX):
        raise RelayError("invalid_email", param="email")
    return email


def check_label(text: str, field_name: str, chars_max: int) -> str:
    """A name or label for people: printable, not empty, bounded. Raises `invalid_value`."""
    text = text.strip()
    if not text or not text.isprintable() or len(text) > chars_max:
        raise RelayError("invalid_value", param=field_name)
    return text
