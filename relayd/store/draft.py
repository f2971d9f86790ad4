"""What a backup is until it is whole: a directory of its own beside the target.

Law: a draft is locked for as long as its process lives. One that nobody holds was left by a kill,
and goes before the next one in that place is made: it may hold data keys.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from relayd.store.directory import DIRECTORY_MODE, give_to_owner

PREFIX: Final = ".relayd-draft-"
_UNLOCKED: Final = ".relayd-new-"
"""Begins the name of a draft that has no lock yet, so that nobody takes it for a left one."""


@contextmanager
def drafting(folder: Path) -> Iterator[Path]:
    """An empty directory in `folder`, mode 0700, which is gone when the block ends."""
    remove_left(folder)
    name = secrets.token_hex(8)
    path = folder / f"{_UNLOCKED}{name}"
    path.mkdir(mode=DIRECTORY_MODE)
    handle = _open(path)
    try:
        give_to_owner(handle, folder)
        with suppress(OSError):  # a file system without locks: then nobody looks for left ones
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        path = path.rename(folder / f"{PREFIX}{name}")
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(handle)


def remove_left(folder: Path) -> int:
    """Removes the drafts there whose process has ended; returns how many."""
    mine = (os.geteuid(), folder.stat().st_uid)
    return sum(_removed(path, mine) for path in folder.glob(f"{PREFIX}*"))


def _removed(path: Path, owners: tuple[int, ...]) -> bool:
    try:
        handle = _open(path)
    except OSError:
        return False
    try:
        if os.fstat(handle).st_uid not in owners:
            return False
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path)
    except OSError:  # somebody works there
        return False
    finally:
        os.close(handle)
    return True


def _open(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
