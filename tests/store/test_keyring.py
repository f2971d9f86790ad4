"""Data keys: made once, destroyed for good, useless without the master key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from relayd.store import seal
from relayd.store.directory import StoreError
from relayd.store.keyring import FILE_NAME, MASTER_NAME, Keyring, open_keyring

HERE = seal.place("t", "c", "r")


@pytest.fixture
def keyring(tmp_path: Path) -> Iterator[Keyring]:
    made = open_keyring(tmp_path)
    yield made
    made.close()


def files(directory: Path) -> bytes:
    return b"".join(file.read_bytes() for file in directory.iterdir())


def refused(directory: Path, master: bytes | None = None) -> str:
    with pytest.raises(StoreError) as caught:
        open_keyring(directory, master).close()
    return caught.value.code


def test_an_owner_has_one_key(keyring: Keyring) -> None:
    keyring.make_now("acct_1")
    sealed = seal.seal(keyring.cipher("acct_1"), HERE, b"x")
    keyring.make_now("acct_1")
    keyring.forget()
    assert seal.unseal(keyring.cipher("acct_1"), HERE, sealed) == b"x"
    assert keyring.owners() == ["acct_1"]


def test_owners_have_different_keys(keyring: Keyring) -> None:
    keyring.make_now("acct_1")
    keyring.make_now("acct_2")
    with pytest.raises(StoreError):
        seal.unseal(keyring.cipher("acct_2"), HERE, seal.seal(keyring.cipher("acct_1"), HERE, b""))


def test_who_has_no_key_gets_none_unasked(keyring: Keyring) -> None:
    with pytest.raises(StoreError) as caught:
        keyring.cipher("acct_1")
    assert caught.value.code == "data_key_gone"


async def test_a_destroyed_key_is_in_no_file_and_never_comes_back(
    keyring: Keyring, tmp_path: Path,
) -> None:
    await keyring.make("acct_1")
    wrapped = keyring._db.execute("SELECT wrapped FROM data_keys").fetchone()[0]
    assert wrapped in files(tmp_path)
    await keyring.destroy("acct_1")
    assert wrapped not in files(tmp_path)
    await keyring.make("acct_1")
    with pytest.raises(StoreError):
        keyring.cipher("acct_1")
    assert keyring.owners() == [] and keyring.owners(destroyed=True) == ["acct_1"]


def test_a_key_can_be_destroyed_before_it_is_made(keyring: Keyring) -> None:
    keyring.destroy_now("month:2026-01")
    keyring.make_now("month:2026-01")
    with pytest.raises(StoreError):
        keyring.cipher("month:2026-01")


def test_another_process_sees_what_was_destroyed(keyring: Keyring, tmp_path: Path) -> None:
    keyring.make_now("acct_1")
    keyring.cipher("acct_1")
    other = open_keyring(tmp_path)
    other.destroy_now("acct_1")
    other.close()
    keyring.forget()
    with pytest.raises(StoreError):
        keyring.cipher("acct_1")


def test_the_file_holds_no_key_in_clear(keyring: Keyring, tmp_path: Path) -> None:
    keyring.make_now("acct_1")
    assert keyring._unwrapped("acct_1") not in files(tmp_path)


def test_without_its_master_key_it_does_not_open(keyring: Keyring, tmp_path: Path) -> None:
    keyring.make_now("acct_1")
    assert refused(tmp_path, bytes(32)) == "store_master_key"
    (tmp_path / MASTER_NAME).unlink()
    assert refused(tmp_path) == "store_master_key"
    assert not (tmp_path / MASTER_NAME).exists()


def test_a_master_key_from_elsewhere_leaves_no_file(tmp_path: Path) -> None:
    made = open_keyring(tmp_path, b"m" * 32)
    made.make_now("acct_1")
    made.close()
    assert not (tmp_path / MASTER_NAME).exists()
    open_keyring(tmp_path, b"m" * 32).close()


def test_a_wrapped_key_of_another_owner_does_not_open(keyring: Keyring) -> None:
    for owner in ("acct_1", "acct_2"):
        keyring.make_now(owner)
    keyring._db.execute(
        "UPDATE data_keys SET wrapped = (SELECT wrapped FROM data_keys WHERE owner = 'acct_2')")
    with pytest.raises(StoreError) as caught:
        keyring.cipher("acct_1")
    assert caught.value.code == "seal_broken"


def test_it_is_private(keyring: Keyring, tmp_path: Path) -> None:
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600
