"""The passkey: a public key whose private half is in somebody's authenticator (WebAuthn level 3).

Law: a challenge is ours, fresh, and answered once. It is its time, random bytes, and a MAC of both
and of what it is for, so that nothing is stored until one is answered.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import Final

NAME_CHARS_MAX: Final = 64
PASSKEYS_MAX: Final = 20
CREDENTIAL_BYTES_MAX: Final = 1023
"""WebAuthn section 7.1: a longer id is none."""
CHALLENGE_MS: Final = 5 * 60_000
RANDOM_BYTES: Final = 16
_TIME_BYTES: Final = 8
_MAC_BYTES: Final = 32
CHALLENGE_BYTES: Final = _TIME_BYTES + RANDOM_BYTES + _MAC_BYTES


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey of an account; `credential` is the id that the authenticator gave it."""

    id: str
    account: str
    credential: bytes = field(repr=False)
    public_key: bytes = field(repr=False)
    name: str = field(repr=False)
    sign_count: int
    created_at_ms: int
    used_at_ms: int | None = None


def challenge(secret: bytes, purpose: str, random16: bytes, now_ms: int) -> bytes:
    """A challenge for one purpose, such as a sign-in, or an account's new passkey."""
    if len(random16) != RANDOM_BYTES:
        raise AssertionError("a challenge takes 16 random bytes")
    said = now_ms.to_bytes(_TIME_BYTES, "big") + random16
    return said + _mac(secret, purpose, said)


def fresh(secret: bytes, purpose: str, given: bytes, now_ms: int) -> bool:
    """Whether a challenge is ours, for this purpose, and not too old."""
    said, mac = given[:-_MAC_BYTES], given[-_MAC_BYTES:]
    if len(given) != CHALLENGE_BYTES or not hmac.compare_digest(_mac(secret, purpose, said), mac):
        return False
    age_ms = now_ms - int.from_bytes(said[:_TIME_BYTES], "big")
    return 0 <= age_ms < CHALLENGE_MS


def _mac(secret: bytes, purpose: str, said: bytes) -> bytes:
    return hmac.digest(secret, said + purpose.encode("utf-8"), "sha256")
