"""What a socket has to say that its event loop has not said yet.

libuv stops watching a socket at its first error, and says so once: where the other side reset the
connection behind bytes that were not read yet, one read takes those alone.
"""

from __future__ import annotations

import asyncio
import select
import socket
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


def keep_alive(sock: socket.socket, seconds: int) -> None:
    """Asks the other side whether it is there when it was not heard of for `seconds`, and twice
    more in as many; then the connection ends. What lies between (NAT, firewalls, balancers) so
    does not forget a connection on which nobody speaks for minutes. A listening socket's
    connections have it too; unix sockets have no need."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, seconds)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, seconds // 2))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
