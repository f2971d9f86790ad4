"""Who writes where: the lock of a store, and the lanes of its journal, one for each daemon.

A lane is a directory `journal/N` with a lock of its own. The kernel lets go of a lock when its
process ends, however it ends: so a lane that can be locked has no owner, and whoever locks it may
replay it.

Law: a daemon holds the store's lock for life, alone unless all share; commands hold none of these.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

from relayd.store.directory import StoreError, prepare, private_file, sync_directory
from relayd.store.transaction import mapped

LOCK_NAME: Final = "relayd.lock"
FOLDER: Final = "journal"
LANE_LOCK_NAME: Final = "lock"


class Lock:
    """A lock that is held; `release()` it, or end."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def release(self) -> None:
        """Lets go; again does nothing."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


class Lane:
    """A lane that this process owns."""

    def __init__(self, number: int, directory: Path, lock: Lock) -> None:
        self.number = number
        self.directory = directory
        self._lock = lock

    def release(self) -> None:
        """Gives the lane up."""
        self._lock.release()


def lock_store(directory: Path, *, shared: bool) -> Lock:
    """The store's lock; raises StoreError `store_in_use` where another daemon keeps it from us.

    Also where one has a lane: somebody may have deleted the file of the lock that it holds.
    """
    with mapped():
        prepare(directory)
        lock = _lock(directory / LOCK_NAME, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        if lock is not None and not shared \
                and any(owned(directory, number) for number in lanes(directory)):
            lock.release()
            lock = None
    if lock is None:
        raise StoreError("store_in_use")
    return lock


def claim(directory: Path) -> list[Lane]:
    """Every lane of this store that nobody owns; at least one, which is new where it must be.

    Raises StoreError.
    """
    folder = directory / FOLDER
    with mapped():
        prepare(folder)
        sync_directory(directory)
        known = lanes(directory)
        found = [lane for number in known if (lane := _claim(folder, number)) is not None]
        number = 0
        while not found:
            lane = None if number in known else _claim(folder, number)
            if lane is not None:
                sync_directory(folder)
                found.append(lane)
            number += 1
        return found


def lanes(directory: Path) -> list[int]:
    """The numbers of a store's lanes."""
    folder = directory / FOLDER
    if not folder.is_dir():
        return []
    return sorted(int(path.name) for path in folder.iterdir()
                  if path.name.isascii() and path.name.isdigit() and path.is_dir())


def lane_directory(directory: Path, number: int) -> Path:
    """Where a lane's files are."""
    return directory / FOLDER / str(number)


def owned(directory: Path, number: int) -> bool:
    """Whether a process owns a lane of this store."""
    path = lane_directory(directory, number) / LANE_LOCK_NAME
    if not path.exists():
        return False
    with mapped():
        lock = _lock(path, fcntl.LOCK_SH)
    if lock is None:
        return True
    lock.release()
    return False


def _claim(folder: Path, number: int) -> Lane | None:
    directory = folder / str(number)
    prepare(directory)
    lock = _lock(directory / LANE_LOCK_NAME, fcntl.LOCK_EX)
    return None if lock is None else Lane(number, directory, lock)


def _lock(path: Path, kind: int) -> Lock | None:
    """The lock of a file, or None where somebody else has it."""
    private_file(path)
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    except BaseException:
        os.close(handle)
        raise
    return Lock(handle)
