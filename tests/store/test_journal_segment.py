"""A file of the journal: whole lines or none, private, with room of its own."""

from __future__ import annotations

import errno
import os
import resource
import stat
import subprocess
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


@contextmanager
def small_disk(directory: Path, kib: int) -> Iterator[Path]:
    """A file system of this size of its own."""
    directory.mkdir()
    options = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(directory)]
    if subprocess.run(options, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=True)


def fill(directory: Path) -> Path:
    """Takes all room there is; the file that has it."""
    ballast = directory / "ballast"
    with open(ballast, "wb", buffering=0) as file, pytest.raises(OSError) as raised:
        while file.write(bytes(4096)):
            pass
    assert raised.value.errno == errno.ENOSPC
    return ballast


@pytest.mark.usefixtures("way")
def test_lines_are_appended_and_read_back(tmp_path: Path) -> None:
    segment = create(tmp_path, 7, 4096)
    assert segment.write(b"one") and segment.write(b"two") and segment.bytes == 6
    assert stat.S_IMODE(segment.path.stat().st_mode) == 0o600
    assert paths(tmp_path) == [segment.path] and index_of(segment.path) == 7
    assert b"".join(pieces(segment.path)).rstrip(b"\0") == b"onetwo"
    segment.close()
    assert segment.path.read_bytes() == b"onetwo" == b"".join(pieces(segment.path))
    with pytest.raises(FileExistsError):
        create(tmp_path, 7, 4096)
    assert segment.path.read_bytes() == b"onetwo"
    segment.close()


def test_room_is_reserved(tmp_path: Path, way: str) -> None:
    segment = create(tmp_path, 1, 1024 * 1024)
    found = segment.path.stat()
    assert found.st_blocks * 512 >= 1024 * 1024
    assert segment.mapped is (way == "mapped")
    assert found.st_size == (1024 * 1024 if segment.mapped else 0)
    segment.remove()
    assert paths(tmp_path) == []


@pytest.mark.usefixtures("way")
def test_room_that_cannot_be_had_is_given_back(tmp_path: Path) -> None:
    segment = create(tmp_path, 1, 2 ** 62)
    assert segment.path.stat().st_blocks == 0 and segment.write(b"x")
    segment.remove()


def test_only_where_no_block_is_shared_is_a_file_mapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"ext4": 0xEF53, "tmpfs": 0x01021994, "btrfs": 0x9123683E, "xfs": 0x58465342}
    mapped = set()
    for place, (name, kind) in enumerate(known.items()):
        monkeypatch.setattr(journal_segment, "_kind", lambda handle, kind=kind: kind)
        segment = create(tmp_path, place, 4096)
        assert segment.write(b"x")
        if segment.mapped:
            mapped.add(name)
        segment.remove()
    assert mapped == {"ext4", "tmpfs"}


def test_the_file_system_is_asked_for(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 64) as disk:
        segment = create(disk, 1, 4096)
        assert journal_segment._kind(segment.handle) == 0x01021994 and segment.mapped
        segment.remove()


def test_a_full_disk_does_not_touch_what_is_reserved(tmp_path: Path) -> None:
    """A page without a place on the disk would end this process by SIGBUS."""
    with small_disk(tmp_path / "disk", 512) as disk:
        segment = create(disk, 1, 100_000)
        ballast = fill(disk)
        lines = [bytes([place % 255 + 1]) * 100 for place in range(1500)]
        taken = [line for line in lines if segment.write(line)]
        assert segment.error == errno.ENOSPC and not segment.broken
        assert 1000 <= len(taken) < 1100  # and what was left of the last page
        ballast.unlink()
        assert segment.write(b"later")
        assert segment.path.read_bytes() == b"".join(taken) + b"later"
        segment.remove()


def test_behind_its_room_lines_follow_without_a_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_segment, "_kind", lambda handle: 0xEF53)
    segment = create(tmp_path, 1, 100)
    for letter in b"abc":
        assert segment.write(bytes([letter]) * 40)
    assert not segment.mapped and segment.write(b"d")
    assert segment.path.read_bytes() == b"a" * 40 + b"b" * 40 + b"c" * 40 + b"d"
    segment.close()


def test_what_was_written_leaves_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_segment, "_kind", lambda handle: 0xEF53)
    segment = create(tmp_path, 1, 16 * 1024 * 1024)
    segment.drop()  # nothing yet
    line = b"x" * 1000
    for _ in range(8 * 1024):
        assert segment.write(line)
    before = resident_bytes(segment.path)
    segment.drop()
    assert before >= 8_000_000 and 900_000 < resident_bytes(segment.path) < 1_200_000
    assert segment.write(line) and segment.path.read_bytes()[:segment.bytes] == line * 8193
    segment.unmap()
    segment.drop()
    assert segment.write(line)
    segment.remove()


def resident_bytes(path: Path) -> int:
    """How much of a file this process has mapped and in memory."""
    lines = iter(Path("/proc/self/smaps").read_text().splitlines())
    for line in lines:
        if line.endswith(str(path)):
            for field in lines:
                if field.startswith("Rss:"):
                    return int(field.split()[1]) * 1024
    return 0


@pytest.mark.usefixtures("written")
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


def test_a_line_that_comes_short_behind_the_room_is_cut_off_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_segment, "_kind", lambda handle: 0xEF53)
    segment = create(tmp_path, 1, 100)
    assert segment.write(b"a" * 60)
    with no_file_above(110):
        assert not segment.write(b"b" * 60) and segment.error == 0
        assert segment.path.read_bytes() == b"a" * 60
    assert segment.write(b"c")
    assert segment.path.read_bytes() == b"a" * 60 + b"c"
    segment.close()


MIB = 1024 * 1024


@pytest.mark.parametrize("written, given", [
    (b"", 0),
    (b"a", 1),
    (b"a" + bytes(9), 10),
    (bytes(9), 9),
    (b"a" + bytes(MIB), MIB + 1),
    (b"a" * MIB + bytes(3 * MIB), MIB + 64 * 1024),
    (b"a" * MIB + bytes(2 * MIB) + b"a", 3 * MIB + 1),
    (bytes(5 * MIB), 64 * 1024),
])
def test_zeros_at_the_end_are_not_all_read(tmp_path: Path, written: bytes, given: int) -> None:
    path = tmp_path / "x.journal"
    path.write_bytes(written)
    found = b"".join(pieces(path))
    assert len(found) == given and written.startswith(found)


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
