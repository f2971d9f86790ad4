"""The master secret: made once, private, whole or absent."""

from __future__ import annotations

import resource
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from relayd.store.directory import StoreError
from relayd.store.secret import FILE_NAME, derived, mark, pepper, read, read_or_make


def test_it_is_made_at_first_use_and_then_kept(tmp_path: Path) -> None:
    assert read(tmp_path) is None
    secret = read_or_make(tmp_path)
    assert len(secret) == 32 and read_or_make(tmp_path) == read(tmp_path) == secret
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == [FILE_NAME]


def test_those_who_come_at_once_get_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(read_or_make, [tmp_path] * 64))
    assert len(found) == 1
    assert [file.name for file in tmp_path.iterdir()] == [FILE_NAME]


def test_a_full_disk_leaves_no_draft(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(OSError):
            read_or_make(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o660, 0o601])
def test_a_secret_that_others_can_touch_is_refused(tmp_path: Path, bits: int) -> None:
    read_or_make(tmp_path)
    (tmp_path / FILE_NAME).chmod(bits)
    with pytest.raises(StoreError) as caught:
        read_or_make(tmp_path)
    assert caught.value.code == "store_open_to_others"


@pytest.mark.parametrize("content", [b"", b"x" * 31, b"x" * 33])
def test_a_damaged_secret_is_refused_and_not_replaced(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / FILE_NAME
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(StoreError) as caught:
        read_or_make(tmp_path)
    assert caught.value.code == "store_secret" and path.read_bytes() == content


def test_a_link_or_a_folder_is_no_secret(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / FILE_NAME).symlink_to("/dev/zero")
    (tmp_path / "b" / FILE_NAME).mkdir(parents=True, mode=0o700)
    for folder in "ab":
        with pytest.raises(StoreError) as caught:
            read(tmp_path / folder)
        assert caught.value.code == "store_secret"


def test_what_is_derived_differs_by_label_and_by_secret() -> None:
    one, other = bytes(32), bytes(31) + b"\x01"
    made = {derived(one, "a"), derived(one, "b"), derived(other, "a"), pepper(one)}
    assert len(made) == 4 and all(len(key) == 32 for key in made)
    assert mark(one) != mark(other) and bytes.fromhex(mark(one)) not in pepper(one)
