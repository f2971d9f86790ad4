"""Drafts: gone when they are done with, and gone with the next one where a kill left them."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from relayd.store.draft import PREFIX, drafting, remove_left

HOLD = """
import pathlib, sys, time
from relayd.store.draft import drafting
with drafting(pathlib.Path(sys.argv[1])) as draft:
    (draft / "keys.db").write_text("keys")
    print(draft, flush=True)
    time.sleep(60)
"""


def test_it_is_private_and_goes(tmp_path: Path) -> None:
    with drafting(tmp_path) as draft:
        assert draft.parent == tmp_path and draft.stat().st_mode & 0o777 == 0o700
        (draft / "a").touch()
        with drafting(tmp_path) as other:
            assert other != draft
        assert (draft / "a").exists()
    with pytest.raises(ZeroDivisionError), drafting(tmp_path) as draft:
        (draft / "a").touch()
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_what_a_kill_left_goes_with_the_next_one(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)],
                          stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        left = Path(process.stdout.readline().strip())
        with drafting(tmp_path):
            assert (left / "keys.db").exists()  # its process lives
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert (left / "keys.db").exists()
    with drafting(tmp_path) as draft:
        assert list(tmp_path.iterdir()) == [draft]
    assert not list(tmp_path.iterdir())


def test_what_is_not_a_draft_stays(tmp_path: Path) -> None:
    (tmp_path / "backup").mkdir()
    (tmp_path / f"{PREFIX}file").touch()
    (tmp_path / f"{PREFIX}link").symlink_to(tmp_path / "backup")
    assert remove_left(tmp_path) == 0 and len(list(tmp_path.iterdir())) == 3
