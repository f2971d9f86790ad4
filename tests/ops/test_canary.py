"""The search: files, what lies across the border of two pieces, deleted files, memory."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from relayd.core.canary import RANDOM_BYTES, mark_of, needles
from relayd.ops.canary import PIECE_BYTES, Search, Seeker, listeners_of, regions_of

MARK = mark_of(bytes(range(RANDOM_BYTES)))
SEEKER = Seeker(needles(MARK))
HOLDS = ("import sys; kept = sys.stdin.buffer.read().decode(); print(len(kept), flush=True);"
         "sys.stdin = None; import time; time.sleep(60)")
FIRST = """
import os, socket
from relayd.ops.canary import listeners_of
with socket.create_server(("127.0.0.1", 0)) as server:
    port = server.getsockname()[1]
    print(os.getpid(), listeners_of(port), flush=True)
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    else:
        print(os.getpid(), listeners_of(port))
"""


def test_files_below_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one").write_text(f"x{MARK.han}x{MARK.han}")
    (tmp_path / f"{MARK.identity}.txt").write_bytes(b"")
    (tmp_path / "clean").write_bytes(b"nothing")
    (tmp_path / "link").symlink_to(tmp_path / "a" / "one")
    search = SEEKER.below("here", tmp_path)
    assert (search.place, search.files, search.copies) == ("here", 3, 3)
    assert search.hits == {("a/one", "han", "utf-8"): 2,
                           (f"{MARK.identity}.txt", "identity", "utf-8"): 1}


def test_old_files_are_left_out_where_that_is_asked(tmp_path: Path) -> None:
    (tmp_path / "old").write_text(MARK.latin)
    os.utime(tmp_path / "old", (1000, 1000))
    assert SEEKER.below("here", tmp_path, since=2000).files == 0
    assert SEEKER.below("here", tmp_path).copies == 1


@pytest.mark.parametrize("before", [0, 1, 7, 17, 18, 19])
def test_a_mark_across_two_pieces_is_found_once(tmp_path: Path, before: int) -> None:
    file = tmp_path / "large"
    file.write_bytes(bytes(PIECE_BYTES - before) + MARK.latin.encode() + bytes(100))
    search = Search("x")
    SEEKER.in_file(search, file, "large")
    assert search.hits == {("large", "latin", "utf-8"): 1}


def test_a_mark_that_begins_with_the_last_zero_of_a_piece(tmp_path: Path) -> None:
    data = MARK.latin.encode("utf-16-be")
    assert data[0] == 0
    (tmp_path / "large").write_bytes(bytes(PIECE_BYTES - 1) + data + bytes(3 * PIECE_BYTES))
    search = SEEKER.below("here", tmp_path)
    assert search.hits[("large", "latin", "utf-16-be")] == 1


@pytest.mark.parametrize("size", [1, 2, 5, 40])
def test_small_pieces(size: int) -> None:
    data = b"--" + MARK.latin.encode() + b"--" + MARK.latin.encode()
    search = Search("x")
    SEEKER.in_pieces(search, "x", (data[at:at + size] for at in range(0, len(data), size)))
    assert search.hits == {("x", "latin", "utf-8"): 2}


def test_what_cannot_be_read_is_counted(tmp_path: Path) -> None:
    search = Search("x")
    SEEKER.in_file(search, tmp_path / "missing", "missing")
    assert (search.files, search.unreadable) == (0, 1)
    assert SEEKER.below("x", tmp_path / "missing").unreadable == 1
    assert SEEKER.in_descriptors(2 ** 22 + 1).unreadable == 1


def test_a_deleted_file_that_is_open_is_found(tmp_path: Path) -> None:
    with open(tmp_path / "gone", "w+b", buffering=0) as file:
        file.write(MARK.emoji.encode("utf-16-le"))
        (tmp_path / "gone").unlink()
        search = SEEKER.in_descriptors(os.getpid())
    assert ("emoji", "utf-16-le") in {key[1:] for key in search.hits}


def test_memory_of_another_process() -> None:
    """Its input is UTF-8; as text its width is that of its widest character."""
    process = subprocess.Popen([sys.executable, "-c", HOLDS], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(f"{MARK.han} kept".encode())
        process.stdin.close()
        process.stdout.readline()
        search = SEEKER.in_memory(process.pid)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert ("han", "utf-16-le") in {key[1:] for key in search.hits}
    assert search.bytes > 100_000


def test_regions_can_be_written() -> None:
    kinds = {kind for _, _, kind in regions_of(os.getpid())}
    assert {"heap", "stack"} <= kinds and "vvar" not in kinds


def test_who_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert listeners_of(server.getsockname()[1]) == [os.getpid()]
        port = server.getsockname()[1]
    assert listeners_of(port) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a container's processes")
def test_who_listens_in_a_container() -> None:
    """The daemon is the first process there; elsewhere that one is systemd."""
    told = subprocess.run(
        ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", FIRST], check=True,
        capture_output=True, text=True).stdout
    first, second = (line.split() for line in told.splitlines())
    assert first == ["1", "[1]"] and second[0] != "1" and second[1] == f"[{second[0]}]"
