"""What is open and no longer at its path is seen, however it went."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from relayd.store.place import Places, identity, is_at


def covered(path: Path) -> None:
    """Something else is at its place, as after a mount or a copy that was put there."""
    path.rename(path.with_name("before"))
    path.write_bytes(b"")


def moved(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))


@pytest.mark.parametrize("go", [os.unlink, covered, moved])
def test_what_went_is_seen(tmp_path: Path, go: Callable[[Path], None]) -> None:
    path = tmp_path / "store" / "file"
    path.parent.mkdir()
    path.touch()
    with open(path, "rb") as file:
        places = Places((path, path.with_name("never")))
        assert places.kept() and is_at(path, identity(file.fileno()))
        go(path)
        assert not places.kept() and not is_at(path, identity(file.fileno()))


def test_what_came_back_or_is_reached_in_another_way_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "store" / "file"
    path.parent.mkdir()
    path.touch()
    places = Places([path])
    path.parent.rename(tmp_path / "elsewhere")
    assert not places.kept()
    path.parent.symlink_to(tmp_path / "elsewhere")
    assert places.kept()
    path.parent.unlink()
    shutil.move(tmp_path / "elsewhere", path.parent)
    assert places.kept()
