"""A timer with the kernel's own resolution: libuv's and asyncio's round to whole milliseconds.

Law: a tick has an intended time, start + n * interval, whatever became late before it.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import time
from collections.abc import Callable
from typing import Final

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_MONOTONIC: Final = 1
_NONBLOCK_CLOEXEC: Final = 0o2004000
_ABSOLUTE: Final = 1


class _Span(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("ns", ctypes.c_long)]


class _Spec(ctypes.Structure):
    _fields_ = [("interval", _Span), ("value", _Span)]


class Ticker:
    """Calls `tick(intended_ns)` every `interval_ns` of CLOCK_MONOTONIC, until `stop`."""

    def __init__(self, tick: Callable[[int], None], interval_ns: int, start_ns: int = 0) -> None:
        self.tick = tick
        self.interval_ns = interval_ns
        self.next_ns = start_ns or time.monotonic_ns() + interval_ns
        self.loop = asyncio.get_running_loop()
        self.fd = _LIBC.timerfd_create(_MONOTONIC, _NONBLOCK_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        spec = _Spec(_Span(*divmod(interval_ns, 10**9)), _Span(*divmod(self.next_ns, 10**9)))
        _LIBC.timerfd_settime(self.fd, _ABSOLUTE, ctypes.byref(spec), None)
        self.loop.add_reader(self.fd, self._ready)

    def _ready(self) -> None:
        try:
            count = int.from_bytes(os.read(self.fd, 8), "little")
        except BlockingIOError:
            return
        for _ in range(count):
            intended, self.next_ns = self.next_ns, self.next_ns + self.interval_ns
            self.tick(intended)
            if self.fd < 0:
                return

    def stop(self) -> None:
        """No further tick; may be called more than once."""
        if self.fd >= 0:
            self.loop.remove_reader(self.fd)
            os.close(self.fd)
            self.fd = -1
