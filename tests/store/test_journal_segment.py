"""A file of the journal: whole lines or none, private, with room of its own."""

from __future__ import annotations

import errno
import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from relayd.store import journal_segment
from relayd.store.journal_segment import create, index_of, paths, pieces


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """The kernel lets no file of this process grow above a size: writes come short, then fail."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_lines_are_appended_and_read_back(tmp_path: Path) -> None:
    segment = create(tmp_path, 7, 4096)
    assert segment.write(b"one") and segment.write(b"two") and segment.bytes == 6
    assert stat.S_IMODE(segment.path.stat().st_mode) == 0o600
    assert paths(tmp_path) == [segment.path] and index_of(segment.path) == 7
    assert b"".join(pieces(segment.path)) == b"onetwo"
    segment.close()
    with pytest.raises(FileExistsError):
        create(tmp_path, 7, 4096)
    assert segment.path.read_bytes() == b"onetwo"


def test_room_is_reserved_without_making_the_file_longer(tmp_path: Path) -> None:
    segment = create(tmp_path, 1, 1024 * 1024)
    found = segment.path.stat()
    assert found.st_size == 0 and found.st_blocks * 512 >= 1024 * 1024
    segment.remove()
    assert paths(tmp_path) == []


def test_room_that_cannot_be_had_is_given_back(tmp_path: Path) -> None:
    segment = create(tmp_path, 1, 2 ** 62)
    assert segment.path.stat().st_blocks == 0 and segment.write(b"x")
    segment.remove()


def test_a_line_that_comes_short_is_cut_off(tmp_path: Path) -> None:
    segment = create(tmp_path, 1, 0)
    assert segment.write(b"a" * 60)
    with no_file_above(100):
        assert not segment.write(b"b" * 60) and segment.error == 0
        assert segment.path.stat().st_size == segment.bytes == 60
        assert segment.write(b"c" * 40)
        assert not segment.write(b"d") and segment.error == errno.EFBIG
    assert segment.write(b"e") and not segment.broken
    assert segment.path.read_bytes() == b"a" * 60 + b"c" * 40 + b"e"
    segment.close()


def test_a_file_that_cannot_be_cut_takes_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = create(tmp_path, 1, 0)

    def fails(handle: int, size: int) -> None:
        raise OSError(errno.EIO, "")

    monkeypatch.setattr(journal_segment.os, "ftruncate", fails)
    with no_file_above(10):
        assert not segment.write(b"b" * 60)
    assert segment.broken and not segment.write(b"c")
    assert segment.path.read_bytes() == b"b" * 10
    segment.close()


def test_a_file_that_went_meanwhile_is_empty(tmp_path: Path) -> None:
    assert list(pieces(tmp_path / "gone")) == []
    assert index_of(tmp_path / "x.journal") == 0


def test_a_full_disk_leaves_no_file_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(handle: int) -> None:
        raise OSError(errno.ENOSPC, "")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError):
        create(tmp_path, 1, 0)
    assert paths(tmp_path) == []
