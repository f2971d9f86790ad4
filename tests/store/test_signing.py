"""The signing key: made once, kept private, RFC 8032."""

from __future__ import annotations

from pathlib import Path

import pytest

from relayd.store.directory import StoreError
from relayd.store.signing import FILE_NAME, Signer, open_signer, valid

# RFC 8032 section 7.1, test 2
SEED = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
PUBLIC = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
SIGNATURE = ("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
             "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00")


def test_the_standard_s_vector() -> None:
    signer = Signer(SEED)
    assert signer.public.hex() == PUBLIC
    assert signer.sign(bytes([0x72])).hex() == SIGNATURE
    assert valid(signer.public, bytes([0x72]), bytes.fromhex(SIGNATURE))


@pytest.mark.parametrize(("public", "message", "signature"), [
    (bytes.fromhex(PUBLIC), b"\x73", bytes.fromhex(SIGNATURE)),
    (bytes.fromhex(PUBLIC), b"\x72", bytes(64)),
    (bytes.fromhex(PUBLIC), b"\x72", b""),
    (bytes(31), b"\x72", bytes.fromhex(SIGNATURE)),
    (b"\xff" * 32, b"\x72", bytes.fromhex(SIGNATURE)),
])
def test_what_does_not_belong_together(public: bytes, message: bytes, signature: bytes) -> None:
    assert not valid(public, message, signature)


def test_a_key_that_is_damaged_is_called_by_its_name(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"short")
    (tmp_path / FILE_NAME).chmod(0o600)
    with pytest.raises(StoreError) as caught:
        open_signer(tmp_path)
    assert caught.value.code == "store_signing_key"
    assert "'signing.key'" in caught.value.sentence


def test_the_key_is_made_once_and_nobody_else_s(tmp_path: Path) -> None:
    made = open_signer(tmp_path)
    assert open_signer(tmp_path).public == made.public
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / FILE_NAME).read_bytes().hex() not in repr(made)
    (tmp_path / FILE_NAME).chmod(0o640)
    with pytest.raises(StoreError) as caught:
        open_signer(tmp_path)
    assert caught.value.code == "store_open_to_others"
