"""The log goes out, or is lost; nobody waits for who reads it."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path

import pytest

from relayd.ops.outlet import PIECE_BYTES, Loss, put
from tests.store.test_journal_segment import no_file_above

NONE = Loss()
LINE = b'{"event":"call"}' + b" " * 383 + b"\n"


def test_a_file_and_what_is_none(tmp_path: Path) -> None:
    with open(tmp_path / "log", "w", encoding="utf-8") as file:
        assert put(file, [LINE] * 100) == NONE
    assert (tmp_path / "log").read_bytes() == LINE * 100
    memory = io.StringIO()
    assert put(memory, [LINE] * 3) == NONE and memory.getvalue().encode() == LINE * 3
    memory.close()
    assert put(memory, [LINE]) == Loss(1)
    with open("/dev/full", "w") as full:
        assert put(full, [LINE] * 3) == Loss(3)


def test_a_disk_that_takes_a_part_leaves_a_line_torn(tmp_path: Path) -> None:
    with open(tmp_path / "log", "w", encoding="utf-8") as file, no_file_above(1000):
        assert put(file, [LINE] * 3) == Loss(1, torn=True)  # two lines of 400 bytes are whole
        assert put(file, [LINE] * 3) == Loss(3)
    with open(tmp_path / "other", "w", encoding="utf-8") as file, no_file_above(800):
        assert put(file, [LINE] * 3) == Loss(1)
    with open(tmp_path / "third", "w", encoding="utf-8") as file, no_file_above(1):
        assert put(file, [b"\n" + LINE]) == Loss(1)


@pytest.mark.parametrize("line", [LINE, b"x" * (PIECE_BYTES - 1) + b"\n"])
def test_a_pipe_whose_reader_hangs_loses_lines_and_holds_nobody(line: bytes) -> None:
    reading, writing = os.pipe()
    with open(reading, "rb") as reader, open(writing, "w", encoding="utf-8") as writer:
        began = time.monotonic()
        lost = sum(put(writer, [line] * 10).lines for _ in range(1000))
        assert time.monotonic() - began < 5 and lost > 9000
        os.set_blocking(reading, False)
        kept = reader.read()
        assert kept == line * (10_000 - lost)  # whole lines alone
        assert put(writer, [line]) == NONE and reader.read() == line


def test_a_file_takes_lines_that_are_longer_than_a_pipe_does(tmp_path: Path) -> None:
    lines = [b"a" * 3 * PIECE_BYTES + b"\n", LINE, b"b" * PIECE_BYTES + b"\n"]
    with open(tmp_path / "log", "w", encoding="utf-8") as file:
        assert put(file, lines) == NONE
    assert (tmp_path / "log").read_bytes() == b"".join(lines)
