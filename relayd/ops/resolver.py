"""Look-ups of names, each on a thread of its own.

The event loop's own look-ups share two threads of libuv's: two names whose servers are silent keep
every other name waiting, listeners that open too, and the end of the process waits for them.

Law: whoever asks bounds how many look-ups there are at a time. A thread that hangs holds up
nobody, and dies with the process.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress
from typing import Any

Info = tuple[Any, ...]
"""As getaddrinfo gives it: family, type, protocol, canonical name, socket address."""


async def look_up(host: str, port: int) -> list[Info]:
    """The addresses of a host, as the machine's resolver orders them; raises OSError."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[list[Info] | OSError] = loop.create_future()

    def tell(found: list[Info] | OSError) -> None:
        if not future.done():
            future.set_result(found)

    def work() -> None:
        found: list[Info] | OSError
        try:
            found = list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            found = error
        except UnicodeError:  # a label that no DNS can have
            found = socket.gaierror(socket.EAI_NONAME, "no name")
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(tell, found)

    threading.Thread(target=work, name="name look-up", daemon=True).start()
    found = await future
    if isinstance(found, OSError):
        raise found
    return found


async def connect(host: str, port: int) -> socket.socket:
    """A socket that is connected to the first address of a host that takes it.

    Raises OSError. The caller bounds the time.
    """
    fault = OSError("no address")
    for family, kind, protocol, _, address in await look_up(host, port):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, address)
        except BaseException as error:
            sock.close()
            if not isinstance(error, OSError):
                raise
            fault = error
        else:
            return sock
    raise fault
