"""Sealing: a text that only its place can open again, and a keyed hash to find it by.

Law: AES-256-GCM (NIST SP 800-38D) with a fresh random nonce; the table, the column and the row are
authenticated with it, so that a value moved to another place does not open. The error says nothing
of the value.
"""

from __future__ import annotations

import hmac
import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from relayd.store.directory import StoreError

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
VERSION: Final = b"\x01"
"""The first byte of what is sealed: AES-256-GCM, nonce, ciphertext with its tag."""
OVERHEAD_BYTES: Final = len(VERSION) + NONCE_BYTES + TAG_BYTES
UNREADABLE: Final = ("data_key_gone", "seal_broken")
"""The errors that say that what is sealed can be read no more."""
_MARK: Final = "\x1f"


def place(table: str, column: str, row: str) -> bytes:
    """What is authenticated with a value: where it stands."""
    return _MARK.join((table, column, row)).encode("utf-8")


def seal(cipher: AESGCM, where: bytes, value: bytes) -> bytes:
    """`value`, sealed for its place (`place()`)."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return VERSION + nonce + cipher.encrypt(nonce, value, where)


def unseal(cipher: AESGCM, where: bytes, sealed: bytes) -> bytes:
    """The value. Raises StoreError `seal_broken` where key, place or bytes are not the same."""
    if len(sealed) < OVERHEAD_BYTES or sealed[:1] != VERSION:
        raise StoreError("seal_broken")
    try:
        return cipher.decrypt(sealed[1:1 + NONCE_BYTES], sealed[1 + NONCE_BYTES:], where)
    except InvalidTag:
        raise StoreError("seal_broken") from None


def blind(index_key: bytes, kind: str, value: str) -> bytes:
    """A keyed hash, 32 bytes, by which a sealed value is found; `value` in its folded form."""
    return hmac.digest(index_key, f"{kind}{_MARK}{value}".encode("utf-8", "surrogatepass"),
                       "sha256")
