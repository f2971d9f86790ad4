"""Opens the console, and the plain port, as soon as their addresses can be had.

Law: calls are relayed whether these can be opened or not. A daemon that takes over from
another gets the address when the other one leaves it.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

from relayd.ops.logging import Logger

RETRY_SECONDS: Final = 1.0
REASONS: Final = {errno.EADDRINUSE: "taken", errno.EACCES: "not_allowed",
                  errno.EADDRNOTAVAIL: "not_here"}


class Opens(Protocol):
    """A listener that is not open yet."""

    async def start(self) -> None:
        """Binds; OSError where that fails."""

    async def stop(self) -> None:
        """Closes it; may be called twice."""


Listener = TypeVar("Listener", bound=Opens)


class Opening(Generic[Listener]):
    """A job: `run` until `stop`. `opened` is set while the console answers.

    `close` is called once it answers no more. `part`: what the log calls it.
    """

    def __init__(self, listener: Listener, *, retry_seconds: float = RETRY_SECONDS,
                 log: Logger | None = None, close: Callable[[], None] | None = None,
                 part: str = "console") -> None:
        self.listener = listener
        self.opened = asyncio.Event()
        self._retry_seconds = retry_seconds
        self._log = log or Logger()
        self._stopping = asyncio.Event()
        self._told = False
        self._close = close
        self._part = part

    async def run(self) -> None:
        """Opens it, trying again while its address cannot be had."""
        while not await self.open() and not self._stopping.is_set():
            try:
                async with asyncio.timeout(self._retry_seconds):
                    await self._stopping.wait()
            except TimeoutError:
                pass

    async def open(self) -> bool:
        """Opens it now; False where its address cannot be had. Told the first time only."""
        if self.opened.is_set() or self._stopping.is_set():
            return True
        try:
            await self.listener.start()
        except OSError as error:
            if not self._told:
                self._told = True
                self._log.warning("console_waits", part=self._part,
                                  reason=REASONS.get(error.errno or 0, "failed"))
            return False
        self.opened.set()
        return True

    async def stop(self) -> None:
        """Closes it."""
        self._stopping.set()
        self.opened.clear()
        await self.listener.stop()
        if self._close is not None:
            self._close()
