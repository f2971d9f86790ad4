"""Sealing: what opens, and what does not."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from relayd.store import seal
from relayd.store.directory import StoreError

ONE = AESGCM(bytes(32))
OTHER = AESGCM(bytes(31) + b"\x01")
HERE = seal.place("accounts", "email", "acct_1")


@given(st.binary(max_size=300))
def test_what_is_sealed_opens_in_its_place(value: bytes) -> None:
    sealed = seal.seal(ONE, HERE, value)
    assert len(sealed) == len(value) + seal.OVERHEAD_BYTES
    assert seal.unseal(ONE, HERE, sealed) == value


def test_the_same_text_is_never_sealed_to_the_same_bytes() -> None:
    assert seal.seal(ONE, HERE, b"ann") != seal.seal(ONE, HERE, b"ann")


@pytest.mark.parametrize("where", [
    seal.place("accounts", "name", "acct_1"), seal.place("accounts", "email", "acct_2"),
    seal.place("tickets", "email", "acct_1"), seal.place("accounts\x1femail", "acct_1", ""),
])
def test_D2_moved_to_another_place_it_does_not_open(where: bytes) -> None:
    with pytest.raises(StoreError) as caught:
        seal.unseal(ONE, where, seal.seal(ONE, HERE, b"ann"))
    assert caught.value.code == "seal_broken"


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(StoreError):
        seal.unseal(OTHER, HERE, seal.seal(ONE, HERE, b"ann"))


@pytest.mark.parametrize("at", [0, 1, 13, -1])
def test_any_changed_byte_is_found(at: int) -> None:
    sealed = bytearray(seal.seal(ONE, HERE, b"ann"))
    sealed[at] ^= 1
    with pytest.raises(StoreError):
        seal.unseal(ONE, HERE, bytes(sealed))


@pytest.mark.parametrize("cut", [0, 1, 12, 28])
def test_what_is_too_short_is_broken(cut: int) -> None:
    with pytest.raises(StoreError):
        seal.unseal(ONE, HERE, seal.seal(ONE, HERE, b"")[:cut])


def test_a_keyed_hash_depends_on_key_kind_and_value() -> None:
    hashes = {seal.blind(key, kind, value) for key in (b"k", b"l") for kind in ("email", "name")
              for value in ("a", "b")}
    assert len(hashes) == 8
    assert seal.blind(b"k", "email", "a") in hashes
