"""Only the owner can read the store, and nobody else can write beside it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from relayd.store.directory import StoreError, prepare, private_file, sync_directory


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> object:
    before = os.umask(request.param)
    yield
    os.umask(before)


def test_what_is_made_is_private_under_any_umask(tmp_path: Path, umask: object) -> None:
    prepare(tmp_path / "var" / "store")
    private_file(tmp_path / "var" / "store" / "relayd.db")
    prepare(tmp_path / "var" / "store")
    assert mode(tmp_path / "var" / "store") == 0o700
    assert mode(tmp_path / "var" / "store" / "relayd.db") == 0o600


@pytest.mark.parametrize("bits", [0o720, 0o702, 0o770, 0o707, 0o1777])
def test_a_directory_that_others_can_write_is_refused(tmp_path: Path, bits: int) -> None:
    tmp_path.chmod(bits)
    with pytest.raises(StoreError) as caught:
        prepare(tmp_path)
    assert caught.value.code == "store_open_to_others"
    assert mode(tmp_path) == bits & 0o777 | bits & 0o1000


@pytest.mark.parametrize("bits", [0o755, 0o711, 0o500])
def test_what_others_cannot_write_may_be_opened_to_them(tmp_path: Path, bits: int) -> None:
    tmp_path.chmod(bits)
    prepare(tmp_path)
    assert mode(tmp_path) == bits


@pytest.mark.parametrize("bits", [0o040, 0o020, 0o010, 0o004, 0o002, 0o001, 0o044])
def test_a_file_that_others_can_use_is_closed_to_them(tmp_path: Path, bits: int) -> None:
    file = tmp_path / "relayd.db"
    file.write_bytes(b"content")
    file.chmod(0o600 | bits)
    private_file(file)
    assert mode(file) == 0o600 and file.read_bytes() == b"content"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "relayd.db").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError):
        private_file(tmp_path / "relayd.db")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_makes_belongs_to_the_directorys_owner(tmp_path: Path) -> None:
    prepare(tmp_path / "store")
    os.chown(tmp_path / "store", 12345, 12345)
    private_file(tmp_path / "store" / "relayd.db")
    assert (tmp_path / "store" / "relayd.db").stat().st_uid == 12345


def test_nothing_stays_open(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    private_file(tmp_path / "relayd.db")
    sync_directory(tmp_path)
    assert os.listdir("/proc/self/fd") == before


def test_the_operator_is_told_what_the_system_says() -> None:
    failed = StoreError("store_open_to_others")
    assert failed.sentence == failed.kind.message
    failed.why = "disk quota exceeded"
    assert failed.sentence == f"{failed.kind.message[:-1]}: disk quota exceeded."
