"""Files that an operator names: those on a disk, pipes that come late, and what never comes."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from relayd.ops import readfile
from relayd.ops.configfile import examine
from relayd.ops.readfile import read_file


def test_a_file_on_a_disk(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "a").chmod(0o640)
    assert read_file(tmp_path / "a", 10) == (b"abc", 0o100640)
    assert read_file(tmp_path / "a", 2)[0] == b"ab"
    assert read_file("/dev/zero", 3)[0] == bytes(3) and read_file("/dev/null", 3)[0] == b""
    for wrong in (tmp_path, tmp_path / "none"):
        with pytest.raises(OSError):
            read_file(wrong, 10)


def test_a_pipe_whose_writer_comes_late(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    def write() -> None:
        time.sleep(0.1)
        with open(tmp_path / "pipe", "wb") as pipe:
            for _ in range(3):
                pipe.write(b"x" * 100_000)
                pipe.flush()
                time.sleep(0.02)

    writer = threading.Thread(target=write)
    writer.start()
    assert read_file(tmp_path / "pipe", 1_000_000)[0] == b"x" * 300_000
    writer.join()


@pytest.mark.parametrize("held", [False, True])
def test_a_pipe_that_nobody_writes_to(
    tmp_path: Path, held: bool, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(readfile, "PIPE_SECONDS", 0.1)
    os.mkfifo(tmp_path / "pipe")
    writer = os.open(tmp_path / "pipe", os.O_RDWR) if held else -1
    [fault] = examine(tmp_path / "pipe").faults
    assert fault.problem.endswith("cannot be read: No data available")
    if held:
        os.close(writer)
