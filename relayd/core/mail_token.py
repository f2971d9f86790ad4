"""The mailed token: whoever has it reads the mailbox that it was sent to.

Law: a token serves one purpose, once, for a short time; what is kept is its SHA-256. A new one of
the same purpose ends the one before.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Final, Literal

from relayd.core.timestamp import HOUR_MS, MINUTE_MS

TOKEN_BYTES: Final = 32
Purpose = Literal["verify", "reset", "email_old", "email_new", "sign_in", "appeal"]
LIFE_MS: Final[dict[Purpose, int]] = {
    "verify": 30 * MINUTE_MS,
    "reset": 30 * MINUTE_MS,
    "email_old": 30 * MINUTE_MS,
    "email_new": 30 * MINUTE_MS,
    # printed by the shell, not mailed
    "sign_in": 15 * MINUTE_MS,
    # an appeal needs time to be written
    "appeal": 30 * 24 * HOUR_MS,
}


@dataclass(frozen=True, slots=True)
class MailToken:
    """A token as the store knows it. `value` is what it will change, such as a new address."""

    account: str
    purpose: Purpose
    created_at_ms: int
    expires_at_ms: int
    used_at_ms: int | None = None
    value: str | None = field(default=None, repr=False)


def mint(random32: bytes) -> str:
    """A token's text from 32 random bytes."""
    if len(random32) != TOKEN_BYTES:
        raise AssertionError("a mailed token takes 32 random bytes")
    return base64.urlsafe_b64encode(random32).rstrip(b"=").decode("ascii")


def usable(token: MailToken, purpose: Purpose, now_ms: int) -> bool:
    """Whether the token opens this, now."""
    return (token.purpose == purpose and token.used_at_ms is None
            and now_ms < token.expires_at_ms)
