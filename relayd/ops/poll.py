"""What a socket has to say that its event loop has not said yet.

libuv stops watching a socket at its first error, and says so once: where the other side reset the
connection behind bytes that were not read yet, one read takes those alone.
"""

from __future__ import annotations

import asyncio
import select
from contextlib import suppress


def polled(transport: asyncio.Transport, events: int = 0) -> bool:
    """Whether one of `events`, as select.poll has them, has come, or an error; never waits."""
    poll = select.poll()
    poll.register(transport.get_extra_info("socket").fileno(), events)
    return bool(poll.poll(0))


def say_all(transport: asyncio.Transport) -> None:
    """Ends what is sent; where the other side has reset the connection, nobody is told."""
    with suppress(OSError):
        transport.write_eof()
