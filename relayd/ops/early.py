"""Signals that come before there is an event loop to take them: while the program is loaded and
its configuration is read, which take the better part of a start.

Law: nothing is open then. SIGTERM ends the process at once, as well as one that has drained ends;
SIGHUP never does: before the file is read it asks for what is about to be done, and afterwards it
is noted for the loop.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGHUP, signal.SIGTERM)


@contextmanager
def signals() -> Iterator[None]:
    """What they do until the loop takes them; as it was, at the end."""
    if threading.current_thread() is not threading.main_thread():
        yield  # no signal comes to another one
        return
    before = [(each, signal.getsignal(each)) for each in _SIGNALS]
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    try:
        yield
    finally:
        for each, handler in before:
            signal.signal(each, handler)


def _leave(number: int, frame: FrameType | None) -> None:
    """Not by an exception: one that comes while a library is loaded may be caught there."""
    os._exit(0)


class Asked:
    """True once SIGHUP has come; made before the file is read that it asks to read again."""

    def __init__(self) -> None:
        self._asked = False
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGHUP, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._asked = True

    def __bool__(self) -> bool:
        return self._asked
