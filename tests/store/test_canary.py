"""The canary report's file: whole or not at all, closed to others."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from relayd.store import canary
from relayd.store.directory import StoreError


def test_the_last_one_stands(tmp_path: Path) -> None:
    assert canary.read(tmp_path) is None
    canary.write(tmp_path, b"one")
    canary.write(tmp_path, b"two")
    assert canary.read(tmp_path) == b"two"
    assert [path.name for path in tmp_path.iterdir()] == [canary.FILE_NAME]
    assert (tmp_path / canary.FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_a_full_disk_leaves_the_last_one_and_no_draft(tmp_path: Path) -> None:
    canary.write(tmp_path, b"one")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(StoreError):
            canary.write(tmp_path, b"two")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert canary.read(tmp_path) == b"one"
    assert [path.name for path in tmp_path.iterdir()] == [canary.FILE_NAME]
