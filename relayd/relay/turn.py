"""What is written in one turn of the event loop, sent together at its end.

Under load a turn brings many reads. A write for each of them between the others wakes a client or
a provider each time, and the processor forgets the relay's code within every system call: sent one
after the other at the turn's end, writes cost a third of that (docs/decisions/0033). Records of
what ended in the turn are made just before, prompts are counted just after.

Law: what is written for a connection leaves in its order, and within the turn; whoever closes a
connection, or writes to its transport directly, calls `flush()` first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sized
from typing import Final

TOGETHER_MIN: Final = 2
"""With fewer calls under way a write goes out at once: there is little to send it with."""


class Turn:
    """The writes of a turn. `inflight` are the calls under way; `soon` runs something after it.

    `due` is what waits: where nothing does, one may write to a transport directly.
    """

    __slots__ = ("_inflight", "_soon", "due", "_first", "_last")

    def __init__(self, inflight: Sized,
                 soon: Callable[[Callable[[], None]], object]) -> None:
        self._inflight = inflight
        self._soon = soon
        self.due: list[tuple[asyncio.Transport, bytes]] = []
        self._first: list[Callable[[], None]] = []
        self._last: list[Callable[[], None]] = []

    def write(self, transport: asyncio.Transport, data: bytes) -> None:
        """Sends `data`, at the end of this turn at the latest."""
        due = self.due
        if due:
            due.append((transport, data))
        elif len(self._inflight) < TOGETHER_MIN:
            transport.write(data)
        else:
            due.append((transport, data))
            self._soon(self.flush)

    def write_now(self, transport: asyncio.Transport, data: bytes) -> None:
        """Sends `data` at once, behind what is due already: an event of a stream comes alone."""
        if self.due:
            self.due.append((transport, data))
        else:
            transport.write(data)

    def first(self, work: Callable[[], None]) -> bool:
        """Has `work` done, which raises nothing, before what is due is sent; False: nothing is."""
        if not self.due:
            return False
        self._first.append(work)
        return True

    def last(self, work: Callable[[], None]) -> None:
        """Has `work` done, which raises nothing, when all that is due has been sent."""
        if self.due:
            self._last.append(work)
        else:
            work()

    def flush(self) -> None:
        """Sends what is due now. A transport that is closing takes nothing more."""
        try:
            while self._first:
                first, self._first = self._first, []
                for work in first:
                    work()
        finally:  # what is due waits for nobody's defect: nothing else would send it
            self._send()
        while self._last:
            self._last.pop()()

    def _send(self) -> None:
        due, self.due = self.due, []
        for transport, data in due:
            if transport.is_closing():
                continue
            try:
                transport.write(data)
            except Exception:  # whatever is wrong with one connection, the others get theirs
                transport.abort()
