"""One daemon a store, unless all share; one owner a lane, and none when its process has ended."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from relayd.store.directory import StoreError
from relayd.store.journal_lane import (
    LOCK_NAME, claim, lane_directory, lanes, lock_store, owned,
)

HOLD = """
import sys
from pathlib import Path
from relayd.store.journal_lane import claim
found = claim(Path(sys.argv[1]))
print(found[0].number, flush=True)
sys.stdin.read()
"""


def refused(directory: Path, *, shared: bool) -> bool:
    try:
        lock_store(directory, shared=shared).release()
    except StoreError as error:
        assert error.code == "store_in_use"
        return True
    return False


@pytest.mark.parametrize("first, second, allowed", [
    (False, False, False), (False, True, False), (True, False, False), (True, True, True),
])
def test_who_may_serve_a_store_beside_whom(
    tmp_path: Path, first: bool, second: bool, allowed: bool
) -> None:
    lock = lock_store(tmp_path, shared=first)
    assert refused(tmp_path, shared=second) is not allowed
    lock.release()
    lock.release()
    assert not refused(tmp_path, shared=second)
    assert stat.S_IMODE((tmp_path / LOCK_NAME).stat().st_mode) == 0o600


def test_a_lock_that_was_deleted_lets_nobody_in(tmp_path: Path) -> None:
    """As by who was told `store_in_use`."""
    held = lock_store(tmp_path, shared=False)
    (lane,) = claim(tmp_path)
    (tmp_path / LOCK_NAME).unlink()
    with pytest.raises(StoreError) as caught:
        lock_store(tmp_path, shared=False)
    assert caught.value.code == "store_in_use"
    lane.release()
    lock_store(tmp_path, shared=False).release()
    held.release()


def test_each_has_a_lane_of_its_own_and_takes_those_that_are_left(tmp_path: Path) -> None:
    (first,), (second,) = claim(tmp_path), claim(tmp_path)
    assert (first.number, second.number) == (0, 1) and lanes(tmp_path) == [0, 1]
    assert stat.S_IMODE(first.directory.stat().st_mode) == 0o700
    assert owned(tmp_path, 0) and owned(tmp_path, 1) and not owned(tmp_path, 2)
    first.release()
    assert not owned(tmp_path, 0)
    (third,) = claim(tmp_path)
    assert third.number == 0
    third.release()
    second.release()
    both = claim(tmp_path)
    assert [lane.number for lane in both] == [0, 1]
    for lane in both:
        lane.release()


def test_a_lane_has_no_owner_when_its_process_was_killed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"0\n" and owned(tmp_path, 0)
        process.kill()
        process.wait()
    assert not owned(tmp_path, 0)
    (lane,) = claim(tmp_path)
    assert lane.number == 0
    lane.release()


def test_other_things_in_the_folder_are_no_lanes(tmp_path: Path) -> None:
    assert lanes(tmp_path) == []
    (tmp_path / "journal" / "x").mkdir(parents=True)
    (tmp_path / "journal" / "3").write_bytes(b"")
    assert lanes(tmp_path) == []
    (lane,) = claim(tmp_path)
    assert lane.directory == lane_directory(tmp_path, 0)
    lane.release()


def test_a_folder_that_others_can_write_is_refused(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    os.chmod(tmp_path / "journal", 0o777)
    with pytest.raises(StoreError):
        claim(tmp_path)


def test_a_directory_that_is_missing_is_made_and_one_that_is_open_refused(tmp_path: Path) -> None:
    lock_store(tmp_path / "store", shared=False).release()
    assert stat.S_IMODE((tmp_path / "store").stat().st_mode) == 0o700
    (tmp_path / "store").chmod(0o770)
    with pytest.raises(StoreError) as caught:
        lock_store(tmp_path / "store", shared=False)
    assert caught.value.code == "store_open_to_others"
