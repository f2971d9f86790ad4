"""A file of the journal: made, written a line at a time, read again, removed.

Where its room is reserved and stays where it is, the file is mapped: a line is copied into it,
which no kernel call is needed for, and what is behind the last line is zeros. Elsewhere a line is
one write().

Law: a line is in the file whole or not at all; a part of one that a full disk let in is cut off
before anything follows it. Files have mode 0600, and room for them is reserved when they are made,
so that a disk which others fill does not stop the one that is being written: a line is copied to
no page that has no place on the disk, for that ends the process (SIGBUS).
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from relayd.store.directory import FILE_MODE, give_to_owner, sync_directory
from relayd.store.journal_frame import VALUE_BYTES_MAX
from relayd.store.place import identity, is_at

SUFFIX: Final = ".journal"
READ_BYTES: Final = 1024 * 1024
KEPT_BYTES: Final = 1024 * 1024
"""So much of what was written stays mapped: pages count as the process's memory."""
_KEEP_SIZE: Final = 1
_STEADY: Final = frozenset({0xEF53, 0x01021994})
"""ext4 and tmpfs, as statfs names them: they never share a block between files, so that writing
to reserved room needs no other. (btrfs and ZFS always do, XFS does after `cp --reflink`.)"""
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Segment:
    """A file that is open for writing. `last`: no line has a higher number; known at its end.

    `copy` puts a line into it where it then ends at `room` at most, or raises OSError; `write`
    does all that is to be done.
    `unsynced` are the lines that the disk may not have yet; whoever syncs the file takes them.
    `broken`: nothing more is written to it, its handle is closed. `doubted`: it failed to sync.
    """

    __slots__ = ("index", "path", "handle", "bytes", "room", "copy", "last", "unsynced", "broken",
                 "doubted", "error", "_mapping", "_dropped", "_identity")

    def __init__(self, index: int, path: Path, handle: int, mapping: mmap.mmap | None) -> None:
        self.index = index
        self.path = path
        self.handle = handle
        self.bytes = 0
        self.room = sys.maxsize if mapping is None else len(mapping)
        self.copy: Callable[[bytes], object] = self._put if mapping is None else mapping.write
        self.last = 0
        self.unsynced: list[bytes] = []
        self.broken = False
        self.doubted = False
        self.error = 0
        """What the last write failed with, as errno has it; 0: it was merely cut short."""
        self._mapping = mapping
        self._dropped = 0
        self._identity = identity(handle)

    @property
    def astray(self) -> bool:
        """Whether its path leads elsewhere: who replays the journal would not find it."""
        return not is_at(self.path, self._identity)

    @property
    def mapped(self) -> bool:
        """Whether lines are copied into memory."""
        return self._mapping is not None

    def write(self, line: bytes) -> bool:
        """Writes a line; False where it is not in the file."""
        end = self.bytes + len(line)
        if end > self.room:
            self.unmap()
        try:
            self.copy(line)
        except OSError as error:
            self.error = error.errno or 0
            return False
        self.bytes = end
        return True

    def unmap(self) -> None:
        """Lines are written by the kernel from now on, which says what fails."""
        if self._mapping is not None:
            self.room = sys.maxsize
            self.copy = self._put
            self._mapping.close()
            self._mapping = None

    def _put(self, line: bytes) -> None:
        written = os.pwrite(self.handle, line, self.bytes)
        if written != len(line):
            self._cut()
            raise OSError(0, "")

    def drop(self) -> None:
        """Gives memory back that what was written takes, but for the last of it."""
        page = (self.bytes - KEPT_BYTES) // mmap.PAGESIZE * mmap.PAGESIZE
        if self._mapping is not None and page - self._dropped >= KEPT_BYTES:
            self._mapping.madvise(mmap.MADV_DONTNEED, self._dropped, page - self._dropped)
            self._dropped = page

    def _cut(self) -> None:
        """A line came short: no part of it stays."""
        try:
            os.ftruncate(self.handle, self.bytes)
        except OSError:
            self.broken = True
            self.close()

    def close(self) -> None:
        """Lets go of the file; it stays, and ends with its last line where that can be had."""
        if self.handle >= 0:
            if self.mapped:
                with suppress(OSError):
                    os.ftruncate(self.handle, self.bytes)
            self._let_go()

    def remove(self) -> None:
        """Closes the file and deletes it, and no other one that may be in its place."""
        with suppress(FileNotFoundError):
            if identity(self.path) == self._identity:
                self.path.unlink()
        self._let_go()

    def _let_go(self) -> None:
        self.unmap()
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = -1


def create(directory: Path, index: int, reserve_bytes: int) -> Segment:
    """A new file that is in its directory for good; raises OSError."""
    path = directory / f"{index:012d}{SUFFIX}"
    handle = os.open(path, _FLAGS, FILE_MODE)
    try:
        give_to_owner(handle, directory)
        mapping = _mapped(handle, reserve_bytes)
        sync_directory(directory)
    except BaseException:
        os.close(handle)
        path.unlink(missing_ok=True)
        raise
    return Segment(index, path, handle, mapping)


def _mapped(handle: int, size: int) -> mmap.mmap | None:
    """Takes room on the disk, and maps it where that is safe.

    Where it is not, the file is not made longer; where there is no room (Linux), none is taken.
    """
    steady = _kind(handle) in _STEADY
    reserve = getattr(ctypes.CDLL(None), "fallocate64", None)
    if reserve is None or not size:
        return None
    if reserve(handle, 0 if steady else _KEEP_SIZE, ctypes.c_int64(0), ctypes.c_int64(size)):
        os.ftruncate(handle, 0)  # gives back what it did get: too little is for others
        return None
    if not steady:
        return None
    try:
        return mmap.mmap(handle, size)
    except OSError:
        return None


def _kind(handle: int) -> int:
    """The file system that a file is in; 0 where that is not known."""
    found = ctypes.create_string_buffer(512)
    ask = getattr(ctypes.CDLL(None), "fstatfs64", None)
    if ask is None or ask(handle, found):
        return 0
    return int.from_bytes(found.raw[:ctypes.sizeof(ctypes.c_long)], sys.byteorder)


def paths(directory: Path) -> list[Path]:
    """The files of a journal, oldest first; none where there is no such directory."""
    return sorted(directory.glob(f"*{SUFFIX}"))


def index_of(path: Path) -> int:
    """The number in a file's name; 0 where there is none."""
    name = path.name.removesuffix(SUFFIX)
    return int(name) if name.isascii() and name.isdigit() else 0


def pieces(path: Path) -> Iterator[bytes]:
    """A file's bytes in pieces; nothing where it has gone meanwhile.

    Of the zeros at its end it gives enough for the last line to be whole.
    """
    nothing, zeros = bytes(READ_BYTES), 0
    for piece in _all_pieces(path):
        if piece == nothing[:len(piece)]:
            zeros += len(piece)
            continue
        if zeros:
            yield bytes(zeros)
            zeros = 0
        yield piece
    if zeros:
        yield bytes(min(zeros, VALUE_BYTES_MAX))


def _all_pieces(path: Path) -> Iterator[bytes]:
    try:
        with open(path, "rb", buffering=0) as file:
            while piece := file.read(READ_BYTES):
                yield piece
    except FileNotFoundError:
        return
