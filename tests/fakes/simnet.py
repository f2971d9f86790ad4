"""A network and a loop without sockets, threads or a clock: a seed decides all of it.

Time passes where nothing is left to do. Every direction of a connection is a `Way`: bytes arrive
late, in any pieces, as far as the reader's window lets them. The relay's end has the semantics of
asyncio's transports on Linux: a reset behind bytes that nobody has read yet may go unheard.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from random import Random
from typing import Any

DELAY_SECONDS = 0.02
"""What bytes take at most, where nobody keeps them waiting."""
WINDOWS = 700, 5_000, 200_000


class Clock:
    """Virtual time, in seconds; Unix time begins on 2026-01-01."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def monotonic(self) -> float:
        return self.seconds

    def monotonic_ns(self) -> int:
        return round(self.seconds * 1e9)

    def unix_ms(self) -> int:
        return 1_767_225_600_000 + round(self.seconds * 1000)


class _Selector:
    """Waits by letting the time pass."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def select(self, timeout: float | None) -> list[Any]:
        assert timeout is not None, "nothing will ever happen again"
        self._clock.seconds += max(timeout, 0.0)
        return []


class SimLoop(asyncio.BaseEventLoop):
    """asyncio's loop in virtual time; what a thread would do is done on it, some time later.

    `faults` are what its exception handler was told.
    """

    def __init__(self, clock: Clock, dice: Random) -> None:
        super().__init__()
        self._selector = _Selector(clock)
        self._clock, self._dice = clock, dice
        self.faults: list[str] = []
        self.set_exception_handler(lambda _, context: self.faults.append(repr(context)))

    def time(self) -> float:
        return self._clock.seconds

    def _process_events(self, events: object) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody else wakes it."""

    def run_in_executor(  # type: ignore[override]
        self, executor: object, func: Callable[..., Any], *given: Any
    ) -> asyncio.Future[Any]:
        future = self.create_future()

        def work() -> None:
            if future.cancelled():
                return
            try:
                future.set_result(func(*given))
            except StopIteration as error:
                future.set_exception(RuntimeError(error))
            except Exception as error:
                future.set_exception(error)

        self.call_later(self._dice.random() ** 4 * 0.1, work)
        return future


class End:
    """One end of a connection: bytes come `way_in` and go `way_out`."""

    way_in: Way
    way_out: Way
    reading = True
    closed = False

    def take(self, data: bytes) -> None:
        raise NotImplementedError

    def take_eof(self) -> None:
        raise NotImplementedError

    def take_reset(self, behind_bytes: bool) -> None:
        raise NotImplementedError

    def room(self) -> None:
        """More may be sent."""

    def rest_seconds(self) -> float:
        """How long it does not read after a read."""
        return 0.0


class Way:
    """One direction of a connection, to `end`; `origin` is where it comes from."""

    def __init__(self, loop: SimLoop, dice: Random, origin: End, end: End) -> None:
        self._loop, self._dice = loop, dice
        self._origin, self._end = origin, end
        self._window = dice.choice(WINDOWS)
        self._queue = bytearray()
        self._eof = self._reset = self._done = False
        self._due: asyncio.TimerHandle | None = None

    def send(self, data: bytes) -> int:
        """How much of it was taken."""
        if self._eof or self._reset:
            return len(data)
        count = max(0, min(len(data), self._window - len(self._queue)))
        self._queue += data[:count]
        self.go_on()
        return count

    def end(self) -> None:
        self._eof = True
        self.go_on()

    def reset(self, keeps: bool) -> None:
        """The other end is told that the connection is no more; what is under way may be lost."""
        if self._reset:
            return
        self._reset, self._done = True, False  # also behind its end: who sends hears of it
        if not keeps:
            self._queue.clear()
        self.go_on()

    @property
    def waits(self) -> bool:
        """Whether something has come and is not read."""
        return bool(self._queue or self._eof) and not self._end.reading

    @property
    def broken(self) -> bool:
        return self._reset

    def go_on(self, after: float = 0.0) -> None:
        if self._due is None and not self._done:
            delay = self._dice.random() ** 3 * DELAY_SECONDS
            self._due = self._loop.call_later(after + delay, self._deliver)

    def _deliver(self) -> None:
        self._due = None
        end = self._end
        if end.closed:  # who sends to a closed socket is answered by a reset
            if self._queue:
                self._queue.clear()
                self._origin.way_in.reset(self._dice.random() < 0.5)
            return
        if not end.reading:
            return
        if self._queue:
            count = len(self._queue)
            if self._dice.random() < 0.4:
                count = self._dice.randint(1, count)
            data = bytes(self._queue[:count])
            del self._queue[:count]
            end.take(data)
            self._loop.call_soon(self._origin.room)
            self.go_on(end.rest_seconds())
        elif self._reset:
            self._done = True
            end.take_reset(self._dice.random() < 0.3)
        elif self._eof:
            self._done = True
            end.take_eof()


class SimTransport(asyncio.Transport, End):
    """The relay's end of a connection."""

    def __init__(self, loop: SimLoop, peername: tuple[str, int]) -> None:
        super().__init__({"peername": peername, "socket": self})
        self._loop = loop
        self._protocol: asyncio.Protocol | None = None
        self._buffer = bytearray()
        self._high = 64 * 1024
        self._paused = self._closing = self._lost = self._ended = self._unheard = False

    def begin(self, protocol: asyncio.Protocol) -> None:
        self._protocol = protocol
        protocol.connection_made(self)

    def polled(self, events: int = 0) -> bool:
        """As relayd.ops.poll.polled."""
        return (self.closed or self._unheard or self.way_in.broken
                or bool(events & select.POLLIN) and self.way_in.waits)

    # what the network calls

    def take(self, data: bytes) -> None:
        assert self._protocol is not None
        self._protocol.data_received(data)

    def take_eof(self) -> None:
        assert self._protocol is not None
        self.reading = False
        if not self._protocol.eof_received():
            self.close()

    def take_reset(self, behind_bytes: bool) -> None:
        if behind_bytes:
            self._unheard = True
        else:
            self._lose(ConnectionResetError())

    def room(self) -> None:
        if self._buffer and not self.closed:
            del self._buffer[:self.way_out.send(bytes(self._buffer))]
        if self._paused and len(self._buffer) <= self._high // 4 and not self._lost:
            self._paused = False
            assert self._protocol is not None
            self._protocol.resume_writing()
        if not self._buffer:
            self._finish()

    def _finish(self) -> None:
        if self._ended and not self.closed:
            self.way_out.end()
        if self._closing and not self._lost:
            self._lose(None)

    def _lose(self, error: Exception | None) -> None:
        if self._lost:
            return
        self._lost = self._closing = True
        self._buffer.clear()
        self._loop.call_soon(self._gone, error)

    def _gone(self, error: Exception | None) -> None:
        protocol, self._protocol = self._protocol, None
        assert protocol is not None
        self.closed = True
        self.reading = True  # whatever comes is met by a closed socket
        if error is None:
            self.way_out.end()
        self.way_in.go_on()
        protocol.connection_lost(error)

    # what the relay calls

    def write(self, data: bytes) -> None:  # type: ignore[override]
        assert isinstance(data, (bytes, bytearray)) and not self._ended, "write after EOF"
        if self._lost or self._closing:
            return
        if self._unheard or self.way_in.broken:
            self._lose(BrokenPipeError())
            return
        if not self._buffer:
            data = data[self.way_out.send(data):]
        self._buffer += data
        if len(self._buffer) > self._high and not self._paused:
            self._paused = True
            assert self._protocol is not None
            self._protocol.pause_writing()

    def write_eof(self) -> None:
        if self._lost or self._closing:
            return
        self._ended = True
        if not self._buffer:
            self.way_out.end()

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self.reading = False
            if not self._buffer:
                self._lose(None)

    def abort(self) -> None:
        self.reading = False
        self._lose(None)

    def is_closing(self) -> bool:
        return self._closing

    def get_write_buffer_size(self) -> int:
        return len(self._buffer)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = 64 * 1024 if high is None else high

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol  # type: ignore[assignment]

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        if not self._closing:
            self.reading = True
            self.way_in.go_on()


class Peer(End):
    """The other end, for a script: `reader` has what came. `slow`: it rests after each read."""

    def __init__(self, loop: SimLoop, dice: Random) -> None:
        self._loop, self._dice = loop, dice
        self.reader = asyncio.StreamReader(limit=1 << 24, loop=loop)
        self.slow = 0.0
        self.lost = False
        self._room = asyncio.Event()

    def take(self, data: bytes) -> None:
        self.reader.feed_data(data)

    def take_eof(self) -> None:
        self.reader.feed_eof()

    def take_reset(self, behind_bytes: bool) -> None:
        self.lost = True
        self._room.set()
        self.reader.set_exception(ConnectionResetError())

    def room(self) -> None:
        self._room.set()

    def rest_seconds(self) -> float:
        return self.slow * self._dice.random()

    async def send(self, data: bytes) -> None:
        """Sends all of it, or as much as there is somebody to send it to."""
        while data and not (self.lost or self.closed):
            self._room.clear()
            data = data[self.way_out.send(data):]
            if data:
                await self._room.wait()

    def end(self) -> None:
        """Sends no more, and still reads."""
        self.way_out.end()

    def close(self) -> None:
        """Neither sends nor reads any more; the other end is told of the first alone."""
        if not self.closed:
            self.closed = True
            self._room.set()
            self.way_out.end()

    def reset(self) -> None:
        if not self.closed:
            self.closed = True
            self._room.set()
            self.way_out.reset(self._dice.random() < 0.5)


def connect(
    loop: SimLoop, dice: Random, peername: tuple[str, int]
) -> tuple[SimTransport, Peer]:
    """A connection: the relay's end, and the script's."""
    transport, peer = SimTransport(loop, peername), Peer(loop, dice)
    transport.way_out = peer.way_in = Way(loop, dice, transport, peer)
    transport.way_in = peer.way_out = Way(loop, dice, peer, transport)
    return transport, peer
