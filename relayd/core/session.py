"""The session: one browser or program that somebody signed in with.

Law: the token is 256 random bits that leave here once; what is kept is its SHA-256. A session ends
by its age, by idleness, by being revoked, or by being replaced when its rights grow.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from typing import Final, Literal

from relayd.core.timestamp import HOUR_MS

TOKEN_BYTES: Final = 32
AGE_MS_MAX: Final = 30 * 24 * HOUR_MS
IDLE_MS_MAX: Final = 24 * HOUR_MS
PROOF_MS: Final = 15 * 60_000
"""How long a proof of who is there opens the sensitive steps."""
TOUCH_MS: Final = 60_000
"""A session's last use is written this often, not with every page."""
PREFIX: Final = "rs_"
_SHAPE: Final = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}", re.ASCII)

Stage = Literal["factor", "open"]
"""`factor`: the password was right, the second factor is still to come."""
Method = Literal["password", "totp", "recovery", "passkey", "link"]


@dataclass(frozen=True, slots=True)
class Session:
    """A session as the store knows it, without its token. `proved_at_ms`: the last proof."""

    id: str
    account: str
    stage: Stage
    method: Method
    device: str
    address: str | None = field(repr=False)
    created_at_ms: int
    used_at_ms: int
    proved_at_ms: int
    two_factors: bool = False


def mint(random32: bytes) -> str:
    """A session's token from 32 random bytes."""
    if len(random32) != TOKEN_BYTES:
        raise AssertionError("a session takes 32 random bytes")
    return PREFIX + base64.urlsafe_b64encode(random32).rstrip(b"=").decode("ascii")


def looks_valid(token: str) -> bool:
    """Whether a text has a token's form; not whether it was issued."""
    return _SHAPE.fullmatch(token) is not None


def digest(token: str) -> bytes:
    """What the store knows a token by, a mailed one too. It has 256 random bits: no key is needed.
    """
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def alive(session: Session, now_ms: int) -> bool:
    """Whether neither its age nor idleness has ended the session.

    One of a clock that was ahead by as much has ended too: it would last until that time.
    """
    age, idle = now_ms - session.created_at_ms, now_ms - session.used_at_ms
    return abs(age) < AGE_MS_MAX and abs(idle) < IDLE_MS_MAX


def ends_at_ms(session: Session) -> int:
    """When the session ends if nobody uses it any more."""
    return min(session.created_at_ms + AGE_MS_MAX, session.used_at_ms + IDLE_MS_MAX)


def proved(session: Session, now_ms: int) -> bool:
    """Whether a sensitive step may be done without asking again who is there."""
    return session.stage == "open" and abs(now_ms - session.proved_at_ms) < PROOF_MS
