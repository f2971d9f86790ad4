"""Where lines of the log go out: a file, a pipe, a terminal, systemd's socket.

Law: never waits. What whoever reads the log does not take at once is lost and counted: a reader
that hangs must not hold the event loop, and with it every call.
"""

from __future__ import annotations

import os
import select
from collections.abc import Iterator, Sequence
from typing import Final, TextIO

PIECE_BYTES: Final = 4096
"""A pipe that poll(2) calls writable takes so much without waiting (PIPE_BUF, pipe(7))."""


def put(stream: TextIO, lines: Sequence[bytes]) -> int:
    """Writes whole lines; returns how many of them were lost."""
    try:
        handle = stream.fileno()
    except (OSError, ValueError):
        return _in_memory(stream, lines)
    left = len(lines)
    for piece in _pieces(lines):
        # past the stream's own buffer, which would keep what a full disk did not take
        if not _taken(handle, memoryview(b"".join(piece))):
            return left
        left -= len(piece)
    return 0


def _in_memory(stream: TextIO, lines: Sequence[bytes]) -> int:
    try:
        stream.write(b"".join(lines).decode())
        stream.flush()
    except (OSError, ValueError):
        return len(lines)
    return 0


def _taken(handle: int, data: memoryview) -> bool:
    while data:
        piece = data[:PIECE_BYTES]
        try:
            if not _writable(handle) or os.write(handle, piece) < len(piece):
                return False
        except OSError:
            return False
        data = data[PIECE_BYTES:]
    return True


def _writable(handle: int) -> bool:
    poll = select.poll()
    poll.register(handle, select.POLLOUT)
    return bool(poll.poll(0))


def _pieces(lines: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Lines that a pipe takes together; one that is longer than that is alone."""
    start, size = 0, 0
    for index, line in enumerate(lines):
        if size and size + len(line) > PIECE_BYTES:
            yield lines[start:index]
            start, size = index, 0
        size += len(line)
    yield lines[start:]
