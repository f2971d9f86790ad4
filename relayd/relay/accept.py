"""Connections as they are accepted: counted, refused above the limits, their handshake bounded.

Where a listener has it so, a balancer says first who its client is (wire/proxyheader.py); whoever
is no trusted proxy is not heard there.

Law: no connection is outside of the count, also while its TLS handshake goes on; a process without
a free file rests instead of turning. (asyncio's servers count nothing before the handshake's end,
and aiofastnet's does not rest.)
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import TYPE_CHECKING, Any, Final

import aiofastnet

from relayd.ops.poll import keep_alive, read_through
from relayd.relay.dialing import EXHAUSTED
from relayd.relay.listener import ClientConnection
from relayd.wire import proxyheader
from relayd.wire.proxyheader import Client, NoHeader

if TYPE_CHECKING:
    from relayd.relay.plane import Plane

BACKLOG: Final = 4096
ACCEPTS_AT_ONCE: Final = 64
"""Then the loop has its turn: those who are connected come first."""
REST_SECONDS: Final = 0.25
SHUTDOWN_SECONDS: Final = 2.0
QUIET_SECONDS: Final = 30
"""A client that is not heard of for so long is asked whether it is there; after 75 s it is
gone."""


class Acceptor:
    """One listening socket, which it owns. `tls` None: clear text; `introduced`: a PROXY header
    comes before all else."""

    def __init__(self, plane: Plane, listening: socket.socket, tls: ssl.SSLContext | None,
                 introduced: bool = False) -> None:
        self._plane = plane
        self._listening = listening
        self._tls = tls
        self._introduced = introduced
        self._loop = asyncio.get_running_loop()
        self._resting: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Listens."""
        self._listening.setblocking(False)
        keep_alive(self._listening, QUIET_SECONDS)
        self._listening.listen(BACKLOG)
        self._go_on()

    def renew(self, tls: ssl.SSLContext) -> None:
        """Handshakes that begin from now on have this certificate."""
        self._tls = tls

    def close(self) -> None:
        """Takes no more than those who are connected already, whom the kernel would cut off."""
        if self._resting is None:
            self._ready(BACKLOG)
        if self._resting is None:
            self._loop.remove_reader(self._listening.fileno())
        else:
            self._resting.cancel()
        self._listening.close()

    def _go_on(self) -> None:
        self._resting = None
        self._loop.add_reader(self._listening.fileno(), self._ready)

    def _ready(self, most: int = ACCEPTS_AT_ONCE) -> None:
        for _ in range(most):
            try:
                sock, address = self._listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in EXHAUSTED:
                    self._rest()
                    return
                continue  # accept(2): errors of the connection that would have been
            self._take(sock, address)

    def _rest(self) -> None:
        """No file is left: the next connection waits in the kernel until one may be."""
        self._plane.notices.warn("accept_paused", reason="exhausted")
        self._loop.remove_reader(self._listening.fileno())
        self._resting = self._loop.call_later(REST_SECONDS, self._go_on)

    def _take(self, sock: socket.socket, address: Any) -> None:
        plane = self._plane
        server = plane.policy.server
        if len(plane.connections) + plane.handshakes >= server.connections_max:
            self._refuse(sock, "connections_max")
            return
        if not self._introduced:
            self._admit(sock, address, None)
        elif plane.addresses.trusts(address, server.trusted_proxies):
            plane.handshakes += 1
            plane.spawn("introduction", self._hear(sock))
        else:
            self._refuse(sock, "not_trusted")

    async def _hear(self, sock: socket.socket) -> None:
        """Who its client is, by whoever connected."""
        client = None
        try:
            async with asyncio.timeout(self._plane.policy.server.header_seconds):
                client = await introduction(sock)
        except (OSError, NoHeader):  # TimeoutError is among them
            self._refuse(sock, "proxy_protocol")
        except BaseException:
            sock.close()
            raise
        finally:
            self._plane.handshakes -= 1
        if client is not None:
            self._admit(sock, client, client)
        else:
            sock.close()

    def _admit(self, sock: socket.socket, address: Any, client: Client | None) -> None:
        plane = self._plane
        server = plane.policy.server
        origin = plane.addresses.enter(
            address, server.connections_per_address_max, server.trusted_proxies)
        if origin is None:
            self._refuse(sock, "connections_per_address_max")
            return
        plane.handshakes += 1
        plane.spawn("accept", self._open(sock, origin, client))

    def _refuse(self, sock: socket.socket, reason: str) -> None:
        refused = self._plane.addresses.refused
        refused[reason] = refused.get(reason, 0) + 1
        self._plane.notices.warn("connection_refused", reason=reason)
        sock.close()

    async def _open(self, sock: socket.socket, origin: bytes, client: Client | None) -> None:
        plane, tls = self._plane, self._tls
        connection = ClientConnection(plane, tls is not None, origin)
        connection.client = client
        try:
            await aiofastnet.connect_accepted_socket(
                self._loop, lambda: connection, sock, ssl=tls,
                ssl_handshake_timeout=plane.policy.server.header_seconds if tls else None,
                ssl_shutdown_timeout=SHUTDOWN_SECONDS if tls else None)
        except OSError as error:  # ssl.SSLError is one: whoever it was is told by TLS, or is gone
            error.__traceback__ = None  # the transport keeps it, and it the transport
            sock.close()
        except BaseException:
            sock.close()
            raise
        finally:
            plane.handshakes -= 1
            made = connection.transport is not None  # then it leaves itself
            if not made:
                plane.addresses.leave(origin)


async def introduction(sock: socket.socket) -> Client | None:
    """Reads a PROXY header and not an octet more; None for who came and left (a health check).

    Raises NoHeader, or OSError.
    """
    loop = asyncio.get_running_loop()
    sock.setblocking(False)
    header = b""
    while count := proxyheader.missing(header):
        if header.startswith(proxyheader.WORD):
            header = await read_through(
                sock, proxyheader.LINE_END, header, proxyheader.LINE_BYTES_MAX)
            break
        piece = await loop.sock_recv(sock, count)
        if not piece:
            if header:
                raise NoHeader
            return None
        header += piece
    return proxyheader.client(header)
