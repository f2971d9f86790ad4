"""The search for canaries: files, open descriptors, a process's memory.

Law: looks and never writes. What cannot be looked at is counted, never passed over in silence;
places are told by kind and by name inside it, not by the machine's paths.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from relayd.core.canary import Needle, count

PIECE_BYTES: Final = 1024 * 1024
FILES_MAX: Final = 100_000
_PROC: Final = Path("/proc")
_ZEROS: Final = bytes(PIECE_BYTES)

Hits = dict[tuple[str, str], int]


@dataclass(slots=True)
class Search:
    """What was found in one place: `hits` by (file, mark, form)."""

    place: str
    files: int = 0
    bytes: int = 0
    unreadable: int = 0
    hits: dict[tuple[str, str, str], int] = field(default_factory=dict)

    def add(self, name: str, hits: Hits) -> None:
        """Takes what one file or region has."""
        for (mark, form), number in hits.items():
            key = (name, mark, form)
            self.hits[key] = self.hits.get(key, 0) + number

    @property
    def copies(self) -> int:
        """All that was found."""
        return sum(self.hits.values())


class Seeker:
    """Looks for needles."""

    def __init__(self, needles: Sequence[Needle]) -> None:
        self._needles = list(needles)
        self._overlap = max(len(needle.data) for needle in needles) - 1

    def in_bytes(self, search: Search, name: str, data: bytes) -> None:
        """Looks at bytes that are here."""
        search.files += 1
        search.bytes += len(data)
        search.add(name, count(data, self._needles))

    def in_pieces(self, search: Search, name: str, pieces: Iterator[bytes]) -> None:
        """Looks at pieces that follow each other, also across their borders."""
        tail = b""
        for piece in pieces:
            search.bytes += len(piece)
            if not tail.strip(b"\0") and piece == _ZEROS[:len(piece)]:
                tail = piece[-self._overlap:]  # much of memory, and of files made large before
                continue
            whole = tail + piece
            # what lies in the tail alone was counted with the piece before
            found, before = count(whole, self._needles), count(tail, self._needles)
            search.add(name, {key: number - before.get(key, 0) for key, number in found.items()
                              if number > before.get(key, 0)})
            tail = whole[-self._overlap:] if self._overlap else b""

    def in_file(self, search: Search, path: Path, name: str) -> None:
        """Looks at a file's name and bytes."""
        try:
            with open(path, "rb", buffering=0) as file:
                search.files += 1
                search.add(name, count(os.fsencode(path.name), self._needles))
                self.in_pieces(search, name, _read(file.fileno()))
        except OSError:
            search.unreadable += 1

    def below(self, place: str, folder: Path, since: float = 0.0) -> Search:
        """Looks at every file under a folder that has changed since (seconds of the epoch)."""
        search = Search(place)
        for path in _files(folder, since, search):
            self.in_file(search, path, os.fspath(path.relative_to(folder)))
        return search

    def in_descriptors(self, pid: int) -> Search:
        """Looks at every file that the process has open, deleted ones too."""
        search = Search("open files")
        try:
            names = sorted(os.listdir(_PROC / str(pid) / "fd"), key=int)
        except OSError:
            search.unreadable += 1
            return search
        for name in names:
            path = _PROC / str(pid) / "fd" / name
            try:
                plain = stat.S_ISREG(path.stat().st_mode)
            except OSError:  # closed meanwhile
                continue
            if plain:
                self.in_file(search, path, f"descriptor {name}")
        return search

    def in_memory(self, pid: int) -> Search:
        """Looks at all memory that the process can write. Raises OSError where it must not."""
        search = Search("memory")
        regions = list(regions_of(pid))
        handle = os.open(_PROC / str(pid) / "mem", os.O_RDONLY | os.O_CLOEXEC)
        try:
            for start, end, name in regions:
                search.files += 1
                self.in_pieces(search, name, _memory(handle, start, end, search))
        finally:
            os.close(handle)
        return search


def _read(handle: int) -> Iterator[bytes]:
    while piece := os.read(handle, PIECE_BYTES):
        yield piece


def _memory(handle: int, start: int, end: int, search: Search) -> Iterator[bytes]:
    while start < end:
        size = min(PIECE_BYTES, end - start)
        try:
            yield os.pread(handle, size, start)
        except OSError:  # unmapped meanwhile, or no memory behind it
            search.unreadable += 1
        start += size


def _files(folder: Path, since: float, search: Search) -> Iterator[Path]:
    """The plain files under a folder, links not followed."""
    seen = 0
    for parent, _, names in os.walk(folder, onerror=lambda _: _count(search)):
        for name in sorted(names):
            path = Path(parent, name)
            try:
                found = path.lstat()
            except OSError:
                continue
            if not stat.S_ISREG(found.st_mode) or found.st_mtime < since:
                continue
            seen += 1
            if seen > FILES_MAX:
                search.unreadable += 1
                return
            yield path


def _count(search: Search) -> None:
    search.unreadable += 1


def regions_of(pid: int) -> Iterator[tuple[int, int, str]]:
    """(start, end, kind) of the process's memory that can be written, from /proc/PID/maps."""
    for line in (_PROC / str(pid) / "maps").read_text().splitlines():
        span, access, _, _, inode, *name = line.split(maxsplit=5)
        if not access.startswith("rw") or (name and name[0].startswith("[v")):
            continue
        start, _, end = span.partition("-")
        kind = name[0].strip("[]") if name and inode == "0" else "file" if name else "anonymous"
        yield int(start, 16), int(end, 16), kind


def listeners_of(port: int) -> list[int]:
    """Processes that have a socket listening on this TCP port, as far as may be seen.

    Not the first one where others have it too: systemd keeps the sockets that it gives away.
    """
    inodes = set(_inodes(port))
    found = [int(name) for name in os.listdir(_PROC)
             if name.isdigit() and inodes & set(_sockets(int(name)))]
    return [pid for pid in found if pid > 1] or found


def _inodes(port: int) -> Iterator[str]:
    """Inodes of listening sockets, from /proc/net/tcp and tcp6 (state 0A)."""
    for table in ("tcp", "tcp6"):
        try:
            lines = (_PROC / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            words = line.split()
            if words[3] == "0A" and int(words[1].rpartition(":")[2], 16) == port:
                yield f"socket:[{words[9]}]"


def _sockets(pid: int) -> Iterator[str]:
    folder = _PROC / str(pid) / "fd"
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        try:
            yield os.readlink(folder / name)
        except OSError:
            continue
