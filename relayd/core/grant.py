"""Grants: credit that was given and not paid for. It is spent before money, and it expires.

Law: what expires first is spent first. What is left of all grants is what the ledger's promo
account has.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from relayd.core.key import ALPHABET

GrantSource = Literal["operator", "code", "subscription"]
CODE_PREFIX: Final = "relayd-"
CODE_BYTES: Final = 16
CODE_CHARS: Final = 22
"""Base62 characters of 128 random bits."""
_CODE: Final = re.compile(rf"{CODE_PREFIX}[0-9A-Za-z]{{{CODE_CHARS}}}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Grant:
    """Credit of an account. `expires_at_ms` None: it stays."""

    id: str
    account: str
    currency: str
    amount_nano: int
    left_nano: int
    source: GrantSource
    created_at_ms: int
    expires_at_ms: int | None


def order(grant: Grant) -> tuple[bool, int, int, str]:
    """Sorts grants in the order in which they are spent."""
    never = grant.expires_at_ms is None
    return never, grant.expires_at_ms or 0, grant.created_at_ms, grant.id


def spent(grants: Sequence[Grant], nano: int) -> list[tuple[Grant, int]]:
    """What `nano` takes from which grants: (grant, what it gives). AssertionError where they have
    less."""
    found = []
    for grant in sorted(grants, key=order):
        part = min(nano, grant.left_nano)
        if part:
            found.append((grant, part))
            nano -= part
    if nano:
        raise AssertionError("more is spent than was granted")
    return found


def mint_code(random16: bytes) -> str:
    """A code to redeem, from 16 random bytes."""
    if len(random16) != CODE_BYTES:
        raise AssertionError("a code takes 16 random bytes")
    value = int.from_bytes(random16, "big")
    text = ""
    for _ in range(CODE_CHARS):
        value, digit = divmod(value, len(ALPHABET))
        text = ALPHABET[digit] + text
    return CODE_PREFIX + text


def looks_like_code(text: str) -> bool:
    """Whether a text has a code's form; not whether there is such a code."""
    return _CODE.fullmatch(text) is not None
