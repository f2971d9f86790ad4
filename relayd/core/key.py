"""The API key: its format, its keyed hash, its states.

Law: the key's text is never kept; what is kept is `digest`, and `hint` for people. Randomness is
given. The format is a recognisable prefix, 43 base62 characters of 256 random bits, and 6 base62
characters of a CRC-32 over both, so that junk is refused without a look-up and secret scanners can
tell a key from noise.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from dataclasses import dataclass, field
from typing import Final, Literal

from relayd.core.errors import RelayError

PREFIX: Final = "sk-relayd-"
ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
RANDOM_BYTES: Final = 32
BODY_CHARS: Final = 43
CHECK_CHARS: Final = 6
NAME_CHARS_MAX: Final = 100
APP_CHARS_MAX: Final = 64
MODELS_MAX: Final = 200
ERASED_NAME: Final = "erased"
"""Stands for the names of an erased account's keys."""
MODEL_CHARS_MAX: Final = 200

_SHAPE: Final = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{BODY_CHARS + CHECK_CHARS}}}", re.ASCII)
_PAIRS: Final = tuple(a + b for a in ALPHABET for b in ALPHABET)
_PAIR: Final = len(ALPHABET) ** 2

KeyState = Literal["active", "revoked"]
KeyMove = Literal["revoke"]
KEY_MOVES: Final[dict[tuple[KeyState, KeyMove], KeyState]] = {
    ("active", "revoke"): "revoked",
    # asking twice is harmless
    ("revoked", "revoke"): "revoked",
}


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as the store knows it, without its text. `models` None allows every route.

    `replaces` names the key that this one was rotated from. Expiry is a matter of time, not of
    state: an active key past `expires_at_ms` is refused.
    """

    id: str
    account: str
    name: str = field(repr=False)
    hint: str
    app: str | None = field(repr=False)
    models: tuple[str, ...] | None
    state: KeyState
    created_at_ms: int
    expires_at_ms: int | None
    replaces: str | None = None


def advance(state: KeyState, move: KeyMove) -> KeyState:
    """The state after a move. Raises RelayError `key_state` where the table has no row."""
    try:
        return KEY_MOVES[state, move]
    except KeyError:
        raise RelayError("key_state") from None


def usable(key: ApiKey, now_ms: int) -> bool:
    """Whether the key opens the door at this time."""
    return key.state == "active" and (key.expires_at_ms is None or now_ms < key.expires_at_ms)


def _check(text: bytes) -> str:
    """Six base62 characters of the CRC-32 (62 ** 6 > 2 ** 32)."""
    crc = zlib.crc32(text)
    rest, low = divmod(crc, _PAIR)
    high, middle = divmod(rest, _PAIR)
    return _PAIRS[high] + _PAIRS[middle] + _PAIRS[low]


def mint(random32: bytes) -> str:
    """A key's text from 32 random bytes."""
    if len(random32) != RANDOM_BYTES:
        raise AssertionError("a key takes 32 random bytes")
    value = int.from_bytes(random32, "big")
    body = ""
    for _ in range(BODY_CHARS):
        value, digit = divmod(value, len(ALPHABET))
        body = ALPHABET[digit] + body
    text = PREFIX + body
    return text + _check(text.encode("ascii"))


def looks_valid(key: str) -> bool:
    """Whether prefix, length, characters and checksum are right; not whether it was issued."""
    if _SHAPE.fullmatch(key) is None:
        return False
    return _check(key[:-CHECK_CHARS].encode("ascii")) == key[-CHECK_CHARS:]


def digest(pepper: bytes, key: bytes) -> bytes:
    """Keyed BLAKE2b (RFC 7693), 32 bytes: what the store and the snapshot know a key by.

    Looking it up in a dict leaks no timing: a guesser controls no prefix of the digest. A third of
    HMAC-SHA256's time when hot, a tenth on the relay path, where OpenSSL's code is cold.
    """
    return hashlib.blake2b(key, key=pepper, digest_size=32).digest()


def hint(key: str) -> str:
    """What lists show of a key: the prefix and the last four characters, which are checksum."""
    return f"{PREFIX}...{key[-4:]}"
