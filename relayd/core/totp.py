"""One-time codes of an authenticator: RFC 6238 over HMAC-SHA-1, six digits, 30 seconds.

Law: a step is used once; what is kept is the last step that was. The secret and the clock are
given. Recovery codes are 80 random bits, each good for one sign-in; their SHA-256 is kept.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

SECRET_BYTES: Final = 20
STEP_SECONDS: Final = 30
DIGITS: Final = 6
WINDOW: Final = 1
"""Steps before and after the present one that count, for clocks that are not right."""
RECOVERY_CODES: Final = 10
RECOVERY_BYTES: Final = 10
_GROUP: Final = 4


@dataclass(frozen=True, slots=True)
class Totp:
    """An account's authenticator. Not `confirmed`: its first code is still to come."""

    account: str
    secret: bytes = field(repr=False)
    confirmed: bool
    last_step: int
    created_at_ms: int


def code_at(secret: bytes, step: int) -> str:
    """The code of one step (RFC 4226 section 5.3)."""
    mac = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    start = mac[-1] & 15
    number = int.from_bytes(mac[start:start + 4], "big") & 0x7FFF_FFFF
    return f"{number % 10 ** DIGITS:0{DIGITS}d}"


def matching_step(totp: Totp, code: str, now_ms: int) -> int | None:
    """The step whose code this is, later than the last one that was used; None: it is wrong.

    A last step that no code of now can be of was used while the clock was ahead, and bars none.
    """
    code = code.replace(" ", "")
    if len(code) != DIGITS or not (code.isascii() and code.isdigit()):
        return None
    now = now_ms // 1000 // STEP_SECONDS
    last_step = totp.last_step if totp.last_step <= now + WINDOW else -1
    found = None
    for step in range(now - WINDOW, now + WINDOW + 1):
        right = step >= 0 and hmac.compare_digest(code_at(totp.secret, step), code)
        if right and step > last_step:
            found = step
    return found


def secret_text(secret: bytes) -> str:
    """The secret as people type it into an authenticator."""
    return base64.b32encode(secret).decode("ascii").rstrip("=")


def uri(secret: bytes, issuer: str, label: str) -> str:
    """What the QR code says."""
    name = f"{quote(issuer, safe='')}:{quote(label, safe='')}"
    return (f"otpauth://totp/{name}?secret={secret_text(secret)}&issuer={quote(issuer, safe='')}"
            f"&algorithm=SHA1&digits={DIGITS}&period={STEP_SECONDS}")


def recovery_code(random10: bytes) -> str:
    """A recovery code in groups of four, of letters and digits that are told apart by eye."""
    if len(random10) != RECOVERY_BYTES:
        raise AssertionError("a recovery code takes 10 random bytes")
    text = base64.b32encode(random10).decode("ascii").lower()
    return "-".join(text[at:at + _GROUP] for at in range(0, len(text), _GROUP))


def recovery_digest(account: str, code: str) -> bytes:
    """What a recovery code is known by; spaces, dashes and case do not matter."""
    plain = "".join(char for char in code.lower() if char.isalnum())
    return hashlib.sha256(f"{account}:{plain}".encode("utf-8", "replace")).digest()
