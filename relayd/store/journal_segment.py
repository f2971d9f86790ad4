"""A file of the journal: made, written a line at a time, read again, removed.

Law: a line is in the file whole or not at all; a part of one that a full disk let in is cut off
before anything follows it. Files have mode 0600, and room for them is reserved when they are made,
so that a disk which others fill does not stop the one that is being written.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from relayd.store.directory import FILE_MODE, give_to_owner

SUFFIX: Final = ".journal"
READ_BYTES: Final = 1024 * 1024
_KEEP_SIZE: Final = 1
_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


class Segment:
    """A file that is open for writing. `last`: no line has a higher number; known at its end.

    `unsynced` are the lines that the disk may not have yet; whoever syncs the file takes them.
    `broken`: nothing more is written to it, its handle is closed. `doubted`: it failed to sync.
    """

    __slots__ = ("index", "path", "handle", "bytes", "last", "unsynced", "broken", "doubted",
                 "error")

    def __init__(self, index: int, path: Path, handle: int) -> None:
        self.index = index
        self.path = path
        self.handle = handle
        self.bytes = 0
        self.last = 0
        self.unsynced: list[bytes] = []
        self.broken = False
        self.doubted = False
        self.error = 0
        """What the last write failed with, as errno has it; 0: it was merely cut short."""

    def write(self, line: bytes) -> bool:
        """Writes a line by one call; False where it is not in the file."""
        if self.broken:
            return False
        try:
            written = os.write(self.handle, line)
        except OSError as error:
            self.failed(error.errno or 0)
            return False
        if written != len(line):
            self.failed(0)
            return False
        self.bytes += written
        return True

    def failed(self, error: int) -> None:
        """A line did not get in, or not all of it: no part of it stays."""
        self.error = error
        if error:
            return
        try:
            os.ftruncate(self.handle, self.bytes)
        except OSError:
            self.broken = True
            self.close()

    def close(self) -> None:
        """Lets go of the file; it stays."""
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = -1

    def remove(self) -> None:
        """Closes the file and deletes it."""
        self.close()
        self.path.unlink(missing_ok=True)


def create(directory: Path, index: int, reserve_bytes: int) -> Segment:
    """A new file that is in its directory for good; raises OSError."""
    path = directory / f"{index:012d}{SUFFIX}"
    handle = os.open(path, _FLAGS, FILE_MODE)
    try:
        give_to_owner(handle, directory)
        _reserve(handle, reserve_bytes)
        sync_directory(directory)
    except BaseException:
        os.close(handle)
        path.unlink(missing_ok=True)
        raise
    return Segment(index, path, handle)


def _reserve(handle: int, size: int) -> None:
    """Takes room on the disk without making the file longer (Linux); where it cannot: none."""
    reserve = getattr(ctypes.CDLL(None), "fallocate64", None)
    if reserve is not None and reserve(
        handle, _KEEP_SIZE, ctypes.c_int64(0), ctypes.c_int64(size)
    ):
        os.ftruncate(handle, 0)  # gives back what it did get: too little is for others


def sync_directory(directory: Path) -> None:
    """Makes sure that the names in a directory survive a power cut."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def paths(directory: Path) -> list[Path]:
    """The files of a journal, oldest first; none where there is no such directory."""
    return sorted(directory.glob(f"*{SUFFIX}"))


def index_of(path: Path) -> int:
    """The number in a file's name; 0 where there is none."""
    name = path.name.removesuffix(SUFFIX)
    return int(name) if name.isascii() and name.isdigit() else 0


def pieces(path: Path) -> Iterator[bytes]:
    """A file's bytes in pieces; nothing where it has gone meanwhile."""
    try:
        with open(path, "rb", buffering=0) as file:
            while piece := file.read(READ_BYTES):
                yield piece
    except FileNotFoundError:
        return
