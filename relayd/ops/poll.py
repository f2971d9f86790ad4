"""What a socket has to say that its event loop has not said yet.

libuv stops watching a socket at its first error, and says so once: where the other side reset the
connection behind bytes that were not read yet, one read takes those alone.
"""

from __future__ import annotations

import asyncio
import re
import select
import socket
from contextlib import suppress
from typing import Final

UNHEARD_TIMES: Final = 6
_TCP: Final = (socket.AF_INET, socket.AF_INET6)


def polled(transport: asyncio.Transport, events: int = 0) -> bool:
    """Whether one of `events`, as select.poll has them, has come, or an error, or the socket is
    closed; never waits."""
    number = transport.get_extra_info("socket").fileno()
    if number < 0:
        return True
    poll = select.poll()
    poll.register(number, events)
    return bool(poll.poll(0))


def unheard(transport: asyncio.Transport) -> bool:
    """Whether what was sent last was sent again and again, and the other side's kernel has taken
    none of it: 13 s at the least, twice that where the round trip takes 200 ms. A peer that does
    not read, but is there, says so."""
    sock = transport.get_extra_info("socket")
    if sock.family not in _TCP:
        return False
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)
    again: int = info[2]  # tcpi_retransmits, of linux/tcp.h
    return again >= UNHEARD_TIMES


def say_all(transport: asyncio.Transport) -> None:
    """Ends what is sent; where the other side has reset the connection, nobody is told."""
    with suppress(OSError):
        transport.write_eof()


async def read_through(
    sock: socket.socket, end: re.Pattern[bytes], data: bytes, most: int
) -> bytes:
    """`data` and what comes behind it through the first match of `end`, and not an octet more.

    What is longer than `most`, or ends before, comes as it is. The socket must not block.
    """
    loop = asyncio.get_running_loop()
    while len(data) < most and end.search(data) is None:
        octet = await loop.sock_recv(sock, 1)
        if not octet:
            break
        data += octet
        if end.search(data) is not None:
            break
        with suppress(BlockingIOError):
            seen = data + sock.recv(most, socket.MSG_PEEK)
            found = end.search(seen)
            data += sock.recv((len(seen) if found is None else found.end()) - len(data))
    return data


def keep_alive(sock: socket.socket, seconds: int) -> None:
    """Asks the other side whether it is there when it was not heard of for `seconds`, and twice
    more in as many; then the connection ends. What lies between (NAT, firewalls, balancers) so
    does not forget a connection on which nobody speaks for minutes. A listening socket's
    connections have it too; unix sockets have no need."""
    if sock.family not in _TCP:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, seconds)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, seconds // 2))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
