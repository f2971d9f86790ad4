"""The bytes of a file that an operator names; one that is a pipe is waited for, not for ever.

Law: nobody who names a wrong file keeps a relay that runs from serving: a reload reads here too.
"""

from __future__ import annotations

import errno
import os
import select
import stat
from collections.abc import Iterator
from typing import Final

from relayd.ops.clock import monotonic

PIPE_SECONDS: Final = 5.0
"""How long the writer of a pipe (`-c <(sops -d relayd.toml)`) may take."""
_PIECE_BYTES: Final = 1024 * 1024


def read_file(path: str | os.PathLike[str], most: int) -> tuple[bytes, int]:
    """At most so many bytes, and the file's mode; raises OSError."""
    # a pipe that nobody writes to would hold open() itself
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        mode = os.fstat(handle).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        wait = not stat.S_ISREG(mode)
        return b"".join(_pieces(handle, most, wait)), mode
    finally:
        os.close(handle)


def _pieces(handle: int, most: int, wait: bool) -> Iterator[bytes]:
    deadline = monotonic() + PIPE_SECONDS
    while most > 0:
        if wait and not _readable(handle, deadline - monotonic()):
            raise OSError(errno.ENODATA, os.strerror(errno.ENODATA))
        piece = os.read(handle, min(most, _PIECE_BYTES))
        if not piece:
            return
        most -= len(piece)
        yield piece


def _readable(handle: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(max(seconds, 0) * 1000))
