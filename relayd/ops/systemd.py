"""What systemd is told: ready, reloading, stopping, a line of status, and that the loop is alive.

The protocol of sd_notify(3): one datagram of `NAME=value` lines to the socket in $NOTIFY_SOCKET.

Law: never in the way. Without a socket nothing happens; a datagram that cannot be sent is dropped.
The watchdog is fed by the event loop itself, so a loop that hangs is noticed.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from relayd.ops.clock import monotonic

READY: Final = "READY=1"
RELOADING: Final = "RELOADING=1"
STOPPING: Final = "STOPPING=1"
ALIVE: Final = "WATCHDOG=1"
FEEDS_PER_PERIOD: Final = 3


class Notifier:
    """Talks to systemd. `path` None: nobody listens; `watchdog_seconds` 0: no watchdog."""

    def __init__(self, path: str | None = None, watchdog_seconds: float = 0.0) -> None:
        # a leading @ stands for the null byte of an abstract socket (unix(7))
        self._path = "\0" + path[1:] if path is not None and path.startswith("@") else path
        self._watchdog_seconds = watchdog_seconds
        self._timer: asyncio.TimerHandle | None = None

    def tell(self, *lines: str) -> None:
        """Sends lines as one datagram."""
        if self._path is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                sock.setblocking(False)
                sock.sendto("\n".join(lines).encode(), self._path)
        except OSError:
            pass  # systemd is restarting, or its queue is full: the next one may arrive

    def status(self, text: str) -> None:
        """A line that `systemctl status` shows."""
        self.tell(f"STATUS={text}")

    def ready(self, text: str) -> None:
        """The service takes requests, or has reloaded."""
        self.tell(READY, f"STATUS={text}")

    def reloading(self) -> None:
        """A reload has begun; `ready` ends it. systemd wants to know when (253 and later)."""
        self.tell(RELOADING, f"MONOTONIC_USEC={int(monotonic() * 1_000_000)}")

    def stopping(self, text: str) -> None:
        """The service is going down."""
        self.tell(STOPPING, f"STATUS={text}")

    def watch(self, healthy: Callable[[], bool]) -> None:
        """Feeds the watchdog from the running loop for as long as `healthy()`."""
        if self._path is None or not self._watchdog_seconds:
            return
        if healthy():
            self.tell(ALIVE)
        self._timer = asyncio.get_running_loop().call_later(
            self._watchdog_seconds / FEEDS_PER_PERIOD, self.watch, healthy)

    def close(self) -> None:
        """Feeds no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
