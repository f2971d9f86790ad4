"""Data keys: made once, destroyed for good, useless without the master key."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from relayd.ops.config import MasterKey
from relayd.store import seal
from relayd.store.backup import take_keys
from relayd.store.directory import StoreError
from relayd.store.keyring import FILE_NAME, Keyring, open_keyring
from relayd.store.master import FILE_NAME as MASTER_NAME
from relayd.store.master import new_key

HERE = seal.place("t", "c", "r")


@pytest.fixture
def keyring(tmp_path: Path) -> Iterator[Keyring]:
    made = open_keyring(tmp_path)
    yield made
    made.close()


def files(directory: Path) -> bytes:
    return b"".join(file.read_bytes() for file in directory.iterdir())


def refused(directory: Path, master: MasterKey | None = None) -> str:
    with pytest.raises(StoreError) as caught:
        open_keyring(directory, master).close()
    return caught.value.code


def test_what_is_derived_goes_with_the_key(keyring: Keyring) -> None:
    keyring.make_now("acct_1", "acct_2")
    one = keyring.derived("acct_1", "a")
    assert one == keyring.derived("acct_1", "a") and len(one) == 32
    assert len({one, keyring.derived("acct_1", "b"), keyring.derived("acct_2", "a")}) == 3
    keyring.destroy_now("acct_1")
    with pytest.raises(StoreError) as caught:
        keyring.derived("acct_1", "a")
    assert caught.value.code == "data_key_gone"


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
    wrapped = keyring._writer.execute("SELECT wrapped FROM data_keys").fetchone()[0]
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


def test_a_key_that_somebody_reads_is_destroyed_and_wiped_when_asked_again(
    keyring: Keyring, tmp_path: Path
) -> None:
    keyring.make_now("acct_1")
    wrapped = keyring._reader.execute("SELECT wrapped FROM data_keys").fetchone()[0]
    keyring._writer.execute("PRAGMA busy_timeout=10")
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM data_keys").fetchone()
        with pytest.raises(StoreError) as caught:
            keyring.destroy_now("acct_1")
        assert caught.value.code == "store_busy" and keyring.owners(destroyed=True) == ["acct_1"]
        assert wrapped in files(tmp_path)
    keyring.destroy_now("acct_1")
    assert wrapped not in files(tmp_path)


def test_so_many_keys_are_in_memory_those_that_were_used_last(
    keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relayd.store.keyring.CIPHERS_MAX", 2)
    keyring.make_now("a", "b", "c")
    for owner in "abac":
        keyring.cipher(owner)
    assert list(keyring._ciphers) == ["a", "c"]


def test_the_file_holds_no_key_in_clear(keyring: Keyring, tmp_path: Path) -> None:
    keyring.make_now("acct_1")
    assert keyring._unwrapped("acct_1") not in files(tmp_path)


def test_without_its_master_key_it_does_not_open(keyring: Keyring, tmp_path: Path) -> None:
    keyring.make_now("acct_1")
    assert refused(tmp_path, MasterKey("00" * 32)) == "store_master_key"
    assert refused(tmp_path, MasterKey("")) == "store_master_key"
    (tmp_path / MASTER_NAME).unlink()
    assert refused(tmp_path) == "store_master_key"
    assert not (tmp_path / MASTER_NAME).exists()


def test_a_master_key_from_elsewhere_leaves_no_file(tmp_path: Path) -> None:
    made = open_keyring(tmp_path, MasterKey("6d" * 32))
    made.make_now("acct_1")
    made.close()
    assert not (tmp_path / MASTER_NAME).exists()
    open_keyring(tmp_path, MasterKey("6d" * 32)).close()


def test_a_wrapped_key_of_another_owner_does_not_open(keyring: Keyring) -> None:
    for owner in ("acct_1", "acct_2"):
        keyring.make_now(owner)
    keyring._writer.execute(
        "UPDATE data_keys SET wrapped = (SELECT wrapped FROM data_keys WHERE owner = 'acct_2')")
    with pytest.raises(StoreError) as caught:
        keyring.cipher("acct_1")
    assert caught.value.code == "seal_broken"


def test_it_is_private(keyring: Keyring, tmp_path: Path) -> None:
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_keys_are_made_together(keyring: Keyring) -> None:
    keyring.make_now(*(f"acct_{n}" for n in range(1000)))
    assert len(keyring.owners()) == 1000 and keyring.owners(prefix="acct_99") == [
        "acct_99", *(f"acct_99{n}" for n in range(10))]
    keyring.destroy_now("acct_1", "acct_2")
    assert keyring.owners(destroyed=True) == ["acct_1", "acct_2"]


@pytest.mark.parametrize("at_once", (1, 3, 5, 9))
def test_owners_are_all_told_however_few_are_read_at_once(
    keyring: Keyring, monkeypatch: pytest.MonkeyPatch, at_once: int,
) -> None:
    monkeypatch.setattr("relayd.store.keyring.OWNERS_AT_ONCE", at_once)
    wanted = [f"month:2026-0{number}" for number in range(1, 6)]
    keyring.make_now("acct_1", *wanted, "monti", "vault:2026")
    assert keyring.owners(prefix="month:") == wanted
    assert keyring.owners() == ["acct_1", *wanted, "monti", "vault:2026"]
    assert keyring.owners(prefix="nobody") == keyring.owners(destroyed=True) == []
    assert keyring.owners(prefix="acct_1") == ["acct_1"]
    steps = keyring._reader.execute(
        "EXPLAIN QUERY PLAN SELECT owner FROM data_keys WHERE owner >= 'm' AND owner < 'n'"
        " AND owner > '' AND (wrapped IS NULL) = 0 ORDER BY owner LIMIT 5").fetchall()
    assert [step[3].split(" USING")[0] for step in steps] == ["SEARCH data_keys"]


def test_what_changed_in_the_file_is_noticed(keyring: Keyring, tmp_path: Path) -> None:
    keyring.make_now("acct_1", "acct_2")
    keyring.notice()
    keyring.cipher("acct_1")
    keyring.notice()
    assert len(keyring._ciphers) == 1
    other = open_keyring(tmp_path)
    other.destroy_now("acct_1")
    other.close()
    keyring.notice()
    with pytest.raises(StoreError) as caught:
        keyring.cipher("acct_1")
    assert caught.value.code == "data_key_gone"
    keyring.cipher("acct_2")


def test_another_s_write_keeps_nobody_from_reading(keyring: Keyring, tmp_path: Path) -> None:
    keyring.make_now("acct_1")
    other = open_keyring(tmp_path)
    other._writer.execute("BEGIN IMMEDIATE")
    try:
        writing = threading.Thread(target=keyring.make_now, args=("acct_2",))
        writing.start()
        began = time.monotonic()
        keyring.notice()
        keyring.cipher("acct_1")
        assert time.monotonic() - began < 1 and writing.is_alive()
    finally:
        other._writer.execute("ROLLBACK")
        other.close()
    writing.join()
    keyring.cipher("acct_2")


def rotated(directory: Path) -> bytes:
    """The store's old master key, after a rotation in another process."""
    other = open_keyring(directory)
    old, key = other.master, new_key()
    old.draft(key)
    assert other.rewrap(key) == len(other.owners())
    old.settle()
    other.wipe()
    other.close()
    return old.key


def test_D2_after_a_rotation_data_is_readable_and_the_old_master_key_useless(
    keyring: Keyring, tmp_path: Path,
) -> None:
    keyring.make_now("acct_1", "acct_2")
    keyring.destroy_now("acct_2")
    sealed = seal.seal(keyring.cipher("acct_1"), HERE, b"x")
    wrapped = keyring._reader.execute(
        "SELECT wrapped FROM data_keys WHERE owner = 'acct_1'").fetchone()[0]
    old = rotated(tmp_path)
    assert wrapped not in files(tmp_path) and old not in files(tmp_path)
    assert refused(tmp_path, MasterKey(old.hex())) == "store_master_key"
    fresh = open_keyring(tmp_path)
    assert seal.unseal(fresh.cipher("acct_1"), HERE, sealed) == b"x"
    assert fresh.owners(destroyed=True) == ["acct_2"]
    fresh.close()


def test_a_process_that_runs_takes_the_new_master_key(keyring: Keyring, tmp_path: Path) -> None:
    keyring.make_now("acct_1")
    sealed = seal.seal(keyring.cipher("acct_1"), HERE, b"x")
    rotated(tmp_path)
    keyring.notice()
    assert seal.unseal(keyring.cipher("acct_1"), HERE, sealed) == b"x"
    rotated(tmp_path)
    keyring.make_now("acct_2")  # under the newest one, or it would be lost
    fresh = open_keyring(tmp_path)
    for owner in ("acct_1", "acct_2"):
        fresh.cipher(owner)
    fresh.close()


def test_a_rotation_that_was_cut_off_ends_at_the_next_start(tmp_path: Path) -> None:
    first = open_keyring(tmp_path)
    first.make_now("acct_1")
    sealed = seal.seal(first.cipher("acct_1"), HERE, b"x")
    first.master.draft(new_key())  # cut off before the keys are wrapped anew
    second = open_keyring(tmp_path)
    assert seal.unseal(second.cipher("acct_1"), HERE, sealed) == b"x"
    key = new_key()
    second.master.draft(key)
    second.rewrap(key)  # cut off before the new key is in its place
    assert (tmp_path / MASTER_NAME).read_bytes() != key
    assert seal.unseal(first.cipher("acct_1"), HERE, sealed) == b"x"
    first.notice()
    assert seal.unseal(first.cipher("acct_1"), HERE, sealed) == b"x"
    third = open_keyring(tmp_path)
    assert seal.unseal(third.cipher("acct_1"), HERE, sealed) == b"x"
    assert (tmp_path / MASTER_NAME).read_bytes() == key
    assert not (tmp_path / f"{MASTER_NAME}.new").exists()
    for each in (first, second, third):
        each.close()


def test_since_when_the_master_key_is_in_use(keyring: Keyring, tmp_path: Path) -> None:
    assert keyring.since_ms() is None
    keyring.make_now("acct_1")
    before = keyring.since_ms()
    assert before is not None
    rotated(tmp_path)
    after = keyring.since_ms()
    assert after is not None and after >= before


def test_what_another_copy_has_besides_is_taken_and_what_it_lost_is_lost(
    keyring: Keyring, tmp_path: Path,
) -> None:
    keyring.make_now("both", "lost_here", "lost_there")
    sealed = seal.seal(keyring.cipher("both"), HERE, b"x")
    (tmp_path / "copy").mkdir()
    master = MasterKey(keyring.master.key.hex())
    take_keys(tmp_path, tmp_path / "copy" / FILE_NAME)
    copy = open_keyring(tmp_path / "copy", master)
    copy.make_now("there_alone")
    copy.destroy_now("lost_there")
    keyring.make_now("here_alone")
    keyring.destroy_now("lost_here")
    keyring.merge(copy)
    assert keyring.owners() == ["both", "here_alone", "there_alone"]
    assert keyring.owners(destroyed=True) == ["lost_here", "lost_there"]
    assert seal.unseal(keyring.cipher("both"), HERE, sealed) == b"x"
    keyring.cipher("there_alone")
    copy.close()
    (tmp_path / "other").mkdir()
    other = open_keyring(tmp_path / "other")
    other.make_now("stranger")
    with pytest.raises(StoreError) as caught:
        keyring.merge(other)
    assert caught.value.code == "store_master_key"
    other.close()
