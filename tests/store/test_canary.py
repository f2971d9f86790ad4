"""The canary report's file: whole or not at all, closed to others."""

from __future__ import annotations

from pathlib import Path

from relayd.store import canary


def test_the_last_one_stands(tmp_path: Path) -> None:
    assert canary.read(tmp_path) is None
    canary.write(tmp_path, b"one")
    canary.write(tmp_path, b"two")
    assert canary.read(tmp_path) == b"two"
    assert [path.name for path in tmp_path.iterdir()] == [canary.FILE_NAME]
    assert (tmp_path / canary.FILE_NAME).stat().st_mode & 0o777 == 0o600
