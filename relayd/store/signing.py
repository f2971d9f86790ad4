"""The signing key: Ed25519 (RFC 8032), 32 bytes in the file `signing.key` beside the database.

Law: it signs statements about this store (audit checkpoints, canary reports, certificates) and
nothing that clients send. It is in no repr; its public half may be shown to everybody.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from relayd.store import secret
from relayd.store.directory import StoreError
from relayd.store.transaction import mapped

FILE_NAME: Final = "signing.key"


class Signer:
    """Signs with the store's key."""

    __slots__ = ("_key", "public")

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public: bytes = self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """The signature of a message: 64 bytes, the same for the same message."""
        return self._key.sign(message)


def valid(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the signature is of this message with this key."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def open_signer(directory: Path) -> Signer:
    """The signer of the store in this directory; its key is made at first use.

    Raises StoreError `store_open_to_others` or `store_signing_key` where the file is not fit.
    """
    try:
        with mapped():
            return Signer(secret.read_or_make(directory, FILE_NAME))
    except StoreError as error:
        raise StoreError("store_signing_key") if error.code == "store_secret" else error from None
