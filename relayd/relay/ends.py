"""The ends of a WebSocket connection, as their transports see them, and what comes of one in turn.

Law: whatever a peer sends, the loop is held for a few milliseconds at most; what is left of a read
waits, and no more is read meanwhile.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Callable
from typing import Final

from relayd.ops.clock import monotonic
from relayd.wire.websocket import POLICY, Message, MessageReader

MESSAGE_BYTES_MAX: Final = 16 * 1024 * 1024
"""The API takes 15 MiB of sound in one event."""
CONTROLS_MAX: Final = 60
"""Pings and pongs of one side in CONTROLS_SECONDS; libraries send one in 10 to 30 seconds."""
CONTROLS_SECONDS: Final = 10.0
SLICE_BYTES: Final = 4096
"""Read at a time: 2,000 frames at most, 8 ms."""
SLICE_SECONDS: Final = 0.002
"""After so long the loop has its turn."""


class Pace:
    """Counts one side's control frames."""

    __slots__ = ("_since", "_count")

    def __init__(self) -> None:
        self._since = 0.0
        self._count = 0

    def exceeded(self, now: float) -> bool:
        """Notes one more; True where they come too fast."""
        if now - self._since > CONTROLS_SECONDS:
            self._since = now
            self._count = 0
        self._count += 1
        return self._count > CONTROLS_MAX


class Backlog:
    """Hands the messages of one side to `take`, one by one, in slices of time.

    `hold` is called with True when some begin to wait, so that no more is read, and with False
    when none does any more. More than `most` of one read are a fault.
    """

    __slots__ = ("_reader", "_take", "_hold", "_most", "_bytes", "_messages", "_count", "_due")

    def __init__(self, reader: MessageReader, take: Callable[[Message], None],
                 hold: Callable[[bool], None], most: int = sys.maxsize) -> None:
        self._reader = reader
        self._most = most
        self._take = take
        self._hold = hold
        self._bytes: deque[bytes] = deque()
        self._messages: deque[Message] = deque()
        self._count = 0
        self._due: asyncio.Handle | None = None

    @property
    def waits(self) -> bool:
        """Whether something of a read has not been taken yet."""
        return self._due is not None

    def put(self, data: bytes) -> None:
        """Takes what has come, as far as there is time; the rest in the next turns of the loop."""
        if len(data) <= SLICE_BYTES:
            self._bytes.append(data)
        else:
            self._bytes.extend(
                data[at:at + SLICE_BYTES] for at in range(0, len(data), SLICE_BYTES))
        if self._due is None:
            self._count = 0
            self._run(monotonic() + SLICE_SECONDS)

    def flush(self) -> None:
        """Takes all that waits, at once: no more will come."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
            self._run(None)

    def forget(self) -> None:
        """Takes nothing more."""
        self._bytes.clear()
        self._messages.clear()
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _run(self, until: float | None) -> None:
        messages, pieces = self._messages, self._bytes
        while messages or pieces:
            if messages:
                self._take(messages.popleft())
            else:
                self._read(pieces.popleft())
            if until is not None and monotonic() >= until and (messages or pieces):
                self._due = asyncio.get_running_loop().call_soon(self._go_on)
                self._hold(True)
                return

    def _read(self, piece: bytes) -> None:
        reader = self._reader
        found = reader.feed(piece)
        self._messages.extend(found)
        self._count += len(found)
        if self._count > self._most and not reader.fault:
            reader.fault = POLICY
        if reader.fault or reader.closed:
            self._bytes.clear()

    def _go_on(self) -> None:
        self._due = None
        self._run(monotonic() + SLICE_SECONDS)
        if self._due is None:
            self._hold(False)


class End(asyncio.Protocol):
    """One side of a tunnel, as its transport sees it."""

    __slots__ = ("reader", "heard", "paused", "paused_at", "pace", "_receive", "_gone", "_flow")

    def __init__(self, masked: bool, receive: Callable[[bytes], None],
                 gone: Callable[[Exception | None, bool], None],
                 flow: Callable[[], None]) -> None:
        self.reader = MessageReader(masked, MESSAGE_BYTES_MAX)
        self.heard = 0.0
        self.paused = False
        """This side does not read as fast as the other one sends."""
        self.paused_at = 0.0
        self.pace = Pace()
        self._receive = receive
        self._gone = gone
        self._flow = flow

    def data_received(self, data: bytes) -> None:
        """Bytes of this side, in order."""
        self._receive(data)

    def eof_received(self) -> bool:
        """This side has ended: half a WebSocket connection is of no use."""
        self._gone(None, False)
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone, whoever ended it."""
        self._gone(error, True)

    def pause_writing(self) -> None:
        """This side reads slowly: the other one is not read either."""
        self.paused = True
        self.paused_at = monotonic()
        self._flow()

    def resume_writing(self) -> None:
        """This side has caught up."""
        self.paused = False
        self._flow()
