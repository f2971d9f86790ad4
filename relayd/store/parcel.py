"""The parcel: a file that its recipient alone opens, by an X25519 key or by a passphrase.

Law: what goes into one is never on a disk in clear text. The format is a head line of JSON; then
pieces, each its length as four bytes, big-endian, and AES-256-GCM ciphertext. A piece's nonce is
its number in eleven bytes and one byte that is 1 for the last; the head is authenticated with
each. So nothing is cut off, left out, added or put elsewhere unseen.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from relayd.core.errors import RelayError
from relayd.store.directory import FILE_MODE, sync_directory

FORMAT: Final = "relayd parcel 1"
KEY_BYTES: Final = 32
SALT_BYTES: Final = 16
SCRYPT_N: Final = 1 << 15
SCRYPT_R: Final = 8
PIECE_BYTES: Final = 64 * 1024
PASSPHRASE_CHARS_MIN: Final = 12
_TAG_BYTES: Final = 16
_HEAD_BYTES_MAX: Final = 1024


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who opens it: the public key (32 bytes), or a passphrase. One of them is None."""

    public_key: bytes | None
    passphrase: str | None = field(default=None, repr=False)


def recipient(public_key: str | None, passphrase: str | None) -> Recipient:
    """The recipient of a key in hex digits, or of a passphrase. Raises `invalid_value`."""
    if (public_key is None) == (passphrase is None):
        raise RelayError("invalid_value", param="recipient")
    if passphrase is not None:
        if len(passphrase) < PASSPHRASE_CHARS_MIN:
            raise RelayError("invalid_value", param="passphrase")
        return Recipient(None, passphrase)
    try:
        key = bytes.fromhex(public_key or "")
        X25519PublicKey.from_public_bytes(key)
    except ValueError:
        raise RelayError("invalid_value", param="recipient") from None
    return Recipient(key)


def _by_key(shared: bytes, ours: bytes, theirs: bytes) -> AESGCM:
    key = HKDF(SHA256(), KEY_BYTES, ours + theirs, FORMAT.encode()).derive(shared)
    return AESGCM(key)


def _by_passphrase(passphrase: str, salt: bytes) -> AESGCM:
    key = Scrypt(salt, KEY_BYTES, SCRYPT_N, SCRYPT_R, 1).derive(passphrase.encode("utf-8"))
    return AESGCM(key)


def _begin(to: Recipient) -> tuple[bytes, AESGCM]:
    """The head line and the cipher of a new parcel."""
    if to.public_key is None:
        salt = secrets.token_bytes(SALT_BYTES)
        head = {"format": FORMAT, "kind": "scrypt", "n": SCRYPT_N, "r": SCRYPT_R, "p": 1,
                "salt": salt.hex()}
        return orjson.dumps(head) + b"\n", _by_passphrase(to.passphrase or "", salt)
    own = X25519PrivateKey.generate()
    ours = own.public_key().public_bytes_raw()
    shared = own.exchange(X25519PublicKey.from_public_bytes(to.public_key))
    head = {"format": FORMAT, "kind": "x25519", "to": to.public_key.hex(), "from": ours.hex()}
    return orjson.dumps(head) + b"\n", _by_key(shared, ours, to.public_key)


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


async def pack(to: Recipient, content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The parcel of a content, as it is written."""
    head, cipher = _begin(to)
    yield head
    held, number = bytearray(), 0
    async for piece in content:
        held += piece
        while len(held) > PIECE_BYTES:
            yield _piece(cipher, head, bytes(held[:PIECE_BYTES]), _nonce(number, False))
            del held[:PIECE_BYTES]
            number += 1
    yield _piece(cipher, head, bytes(held), _nonce(number, True))


def _piece(cipher: AESGCM, head: bytes, text: bytes, nonce: bytes) -> bytes:
    sealed = cipher.encrypt(nonce, text, head)
    return len(sealed).to_bytes(4, "big") + sealed


async def write_new(path: Path, pieces: AsyncIterator[bytes]) -> None:
    """Writes a new file, mode 0600, that has its name once it is whole, for good.

    Raises FileExistsError where the name is taken; what the pieces raise leaves no file.
    """
    if path.exists():
        raise FileExistsError
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    try:
        with open(handle, "wb") as file:
            async for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
        sync_directory(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def unpack(parcel: bytes, private_key: bytes | None, passphrase: str | None) -> Iterator[bytes]:
    """The content. Raises `invalid_value` where it is another's, or not whole."""
    try:
        head, cipher, place = _opened(parcel, private_key, passphrase)
        number, last = 0, False
        while not last:
            length = int.from_bytes(parcel[place:place + 4], "big")
            end = place + 4 + length
            if length < _TAG_BYTES or end > len(parcel):
                raise RelayError("invalid_value", param="parcel")
            last = end == len(parcel)
            yield cipher.decrypt(_nonce(number, last), parcel[place + 4:end], head)
            place, number = end, number + 1
    except (InvalidTag, ValueError, KeyError, TypeError):
        raise RelayError("invalid_value", param="parcel") from None


def _opened(
    parcel: bytes, private_key: bytes | None, passphrase: str | None,
) -> tuple[bytes, AESGCM, int]:
    end = parcel.index(b"\n", 0, _HEAD_BYTES_MAX) + 1
    head = parcel[:end]
    said = orjson.loads(head)
    if said["format"] != FORMAT:
        raise ValueError
    if said["kind"] == "scrypt":
        return head, _by_passphrase(passphrase or "", bytes.fromhex(said["salt"])), end
    ours, theirs = bytes.fromhex(said["from"]), bytes.fromhex(said["to"])
    own = X25519PrivateKey.from_private_bytes(private_key or b"")
    shared = own.exchange(X25519PublicKey.from_public_bytes(ours))
    return head, _by_key(shared, ours, theirs), end
