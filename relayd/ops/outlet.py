"""Where lines of the log go out: a file, a pipe, a terminal, systemd's socket.

Law: never waits. What whoever reads the log does not take at once is lost and counted: a reader
that hangs must not hold the event loop, and with it every call.
"""

from __future__ import annotations

import os
import select
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, TextIO

PIECE_BYTES: Final = 4096
"""A pipe that poll(2) calls writable takes so much without waiting (PIPE_BUF, pipe(7))."""


class Loss(NamedTuple):
    """What did not go out: so many of the last lines."""

    lines: int = 0
    torn: bool = False
    """A part of the first of them did; what comes next is to begin a line of its own."""


def put(stream: TextIO, lines: Sequence[bytes]) -> Loss:
    """Writes whole lines; returns what was lost."""
    try:
        handle = stream.fileno()
    except (OSError, ValueError):
        return _in_memory(stream, lines)
    left = len(lines)
    for piece in _pieces(lines):
        data = b"".join(piece)
        # past the stream's own buffer, which would keep what a full disk did not take
        taken = _taken(handle, memoryview(data))
        if taken < len(data):
            whole = data.count(b"\n", 1, taken)  # a break before the first line ends none of them
            return Loss(left - whole, taken > 0 and data[taken - 1:taken] != b"\n")
        left -= len(piece)
    return Loss()


def _in_memory(stream: TextIO, lines: Sequence[bytes]) -> Loss:
    try:
        stream.write(b"".join(lines).decode())
        stream.flush()
    except (OSError, ValueError):
        return Loss(len(lines))
    return Loss()


def _taken(handle: int, data: memoryview) -> int:
    """How many bytes went out."""
    taken = 0
    while taken < len(data):
        piece = data[taken:taken + PIECE_BYTES]
        try:
            count = os.write(handle, piece) if _writable(handle) else 0
        except OSError:
            return taken
        taken += count
        if count < len(piece):
            break
    return taken


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
