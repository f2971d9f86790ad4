"""Connections to one provider: opened, kept, reused and let go; shared by all clients.

Law: no client has a connection of its own (a connection would be a session id): the pool is last
in, first out, each connection ends after a bounded number of uses and a bounded, jittered idle
time.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from typing import Final

import aiofastnet

from relayd.core.errors import RelayError
from relayd.core.provider import Provider, Proxy
from relayd.ops.clock import monotonic
from relayd.ops.tasks import Tasks
from relayd.relay.dialing import EXHAUSTED, Dialer
from relayd.relay.egress import ProxyError, tunnel
from relayd.relay.egress_tls import SHUTDOWN_SECONDS, tunnel_tls
from relayd.relay.turn import Turn
from relayd.relay.upstream import UpstreamConnection

USES_MAX: Final = 200
IDLE_SECONDS_MIN: Final = 30.0
IDLE_SECONDS_SPREAD: Final = 30.0
WRITE_BUFFER_BYTES: Final = 256 * 1024
HANG_SECONDS: Final = 0.5
"""A connection that takes longer, while others wait too, is a sign: most take 0.1 at most."""
HANGING_MIN: Final = 3
Tell = Callable[[str, str], None]
"""Takes a provider's name and why it cannot be reached, a word of `reason_of`."""


class Opening:
    """A connection that is being opened; `wake` is called once, when one of the others is set."""

    __slots__ = ("wake", "connection", "error", "abandoned")

    def __init__(self, wake: Callable[[], None]) -> None:
        self.wake = wake
        self.connection: UpstreamConnection | None = None
        self.error: RelayError | None = None
        self.abandoned = False

    def abandon(self) -> None:
        """Nobody waits any more: the connection goes to the pool when it comes."""
        self.abandoned = True


class Pool:
    """All connections of one provider. `dice` is a source of floats in [0, 1)."""

    def __init__(self, provider: Provider, tasks: Tasks, dice: Callable[[], float],
                 turn: Turn, tell: Tell | None = None) -> None:
        self.provider = provider
        self.turn = turn
        self._tell = tell
        self._tasks = tasks
        self._dice = dice
        self._idle: list[UpstreamConnection] = []
        self._all: set[UpstreamConnection] = set()
        self._opening: dict[Opening, float] = {}
        """Since when each one is under way, the oldest first."""
        self._closed = False
        self._retired = False
        address = provider.address
        near = provider.proxy or address
        self._trusts = _stamps(provider)
        self._tls = tls_context(provider.ca_file) if address.scheme == "https" else None
        self._proxy_tls = (tls_context(near.ca_file)
                           if isinstance(near, Proxy) and near.scheme == "https" else None)
        self._dialer = Dialer(near.host, near.port, tasks, near.scheme == "https", self._stale)

    def _stale(self) -> None:
        if self._tell is not None:
            self._tell(self.provider.name, "name_kept")

    def invalid(self, flaw: str) -> None:
        """Tells the operator that the provider's answer was none, and why (wire/replyhead.py)."""
        if self._tell is not None:
            self._tell(self.provider.name, flaw)

    @property
    def outdated(self) -> bool:
        """True where a file of authorities is not what it was when it was read."""
        return _stamps(self.provider) != self._trusts

    @property
    def idle(self) -> int:
        """How many connections wait for a request."""
        return len(self._idle)

    @property
    def busy(self) -> int:
        """How many connections carry a reply or are being opened."""
        return len(self._all) - len(self._idle) + len(self._opening)

    @property
    def full(self) -> bool:
        """True at the provider's limit."""
        return len(self._all) + len(self._opening) >= self.provider.connections_max

    def hangs(self, now: float) -> bool:
        """True where several connections are being opened, and the oldest for too long.

        So most calls go elsewhere long before the first connect timeout.
        """
        if len(self._opening) < HANGING_MIN:
            return False
        return now - next(iter(self._opening.values())) > HANG_SECONDS

    def take(self) -> UpstreamConnection | None:
        """An idle connection, or None."""
        return self._idle.pop() if self._idle else None

    def open(self, wake: Callable[[], None]) -> Opening:
        """Starts to open a connection, at the provider's limit in the place of an idle one; raises
        upstream_busy where there is none."""
        if self.full and self._idle:
            self._idle[0].abort()
        if self.full:
            raise RelayError("upstream_busy", retry_after_seconds=1)
        opening = Opening(wake)
        self._opening[opening] = monotonic()
        self._tasks.spawn("upstream connect", self._open(opening))
        return opening

    async def _open(self, opening: Opening) -> None:
        try:
            opening.connection = await self._connect()
        except RelayError as error:
            opening.error = error.with_traceback(None)  # this frame keeps the opening
        finally:
            del self._opening[opening]
            if opening.connection is None and opening.error is None:
                opening.error = RelayError("upstream_connect")
            if not opening.abandoned:
                opening.wake()
            elif opening.connection is not None:
                self.give_back(opening.connection)

    async def _connect(self) -> UpstreamConnection:
        try:
            async with asyncio.timeout(self.provider.timeouts.connect):
                transport, protocol = await self._reach()
        except OSError as error:  # TimeoutError and ssl.SSLError are among them
            if self._tell is not None:
                self._tell(self.provider.name, reason_of(error))
            error.__traceback__ = None  # a failed handshake's transport keeps it, and it that
            raise fault_of(error) from None
        if protocol.closed:  # the provider was gone again before it was asked anything
            if self._tell is not None:
                self._tell(self.provider.name, "closed")
            raise RelayError("upstream_connect")
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self._all.add(protocol)
        if self._closed:
            protocol.abort()
            raise RelayError("draining")
        return protocol

    async def _reach(self) -> tuple[asyncio.Transport, UpstreamConnection]:
        """A connection to the provider, through its proxy if it has one."""
        address, proxy, tls = self.provider.address, self.provider.proxy, self._tls
        sock = await self._dial()
        if proxy is not None and self._proxy_tls is not None:
            return await tunnel_tls(sock, proxy, self._proxy_tls, address, tls, self._make)
        try:
            if proxy is not None:
                await tunnel(sock, proxy, address.host, address.port)
            return await aiofastnet.create_connection(
                asyncio.get_running_loop(), self._make, sock=sock, ssl=tls,
                server_hostname=address.host if tls else None,
                ssl_shutdown_timeout=SHUTDOWN_SECONDS if tls else None)
        except BaseException:
            sock.close()
            raise

    async def _dial(self) -> socket.socket:
        try:
            return await self._dialer.dial()
        except OSError as error:
            if self.provider.proxy is None or error.errno in EXHAUSTED:
                raise
            raise ProxyError("proxy_unreachable") from None

    def _make(self) -> UpstreamConnection:
        return UpstreamConnection(self)

    def give_back(self, connection: UpstreamConnection) -> None:
        """Takes a connection whose reply has been read whole."""
        if self._closed or self._retired or connection.uses >= USES_MAX:
            connection.abort()
            return
        connection.idle_since = monotonic() - self._dice() * IDLE_SECONDS_SPREAD
        self._idle.append(connection)

    def forget(self, connection: UpstreamConnection) -> None:
        """A connection has ended."""
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def sweep(self, now: float) -> None:
        """Closes connections that have been idle for 30 to 60 seconds."""
        oldest = now - IDLE_SECONDS_MIN - IDLE_SECONDS_SPREAD
        for connection in [c for c in self._idle if c.idle_since < oldest]:
            connection.abort()

    def retire(self) -> None:
        """Ends idle connections, and keeps none: those that carry a reply end with it."""
        self._retired = True
        for connection in list(self._idle):
            connection.abort()

    def close(self) -> None:
        """Ends all connections; later ones are not kept."""
        self._closed = True
        for connection in list(self._all):
            connection.abort()


def _stamps(provider: Provider) -> list[tuple[int, int, int]]:
    """What tells the files of authorities from those that take their places."""
    files = [provider.ca_file, provider.proxy.ca_file if provider.proxy is not None else None]
    found = [os.stat(file) for file in files if file is not None]
    return [(each.st_ino, each.st_mtime_ns, each.st_size) for each in found]


class _Quiet(ssl.SSLContext):
    """Verifies certificates and names as any client's context does, and does not say so.

    aiofastnet asks for it when a handshake is done, only to describe the certificate, for which it
    writes it to a temporary file: on the loop, and without a place for files there is no TLS.
    """

    @property
    def verify_mode(self) -> ssl.VerifyMode:  # type: ignore[override]
        """What aiofastnet reads; OpenSSL has its own."""
        return ssl.CERT_NONE


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """One context per provider, the same for all clients: the handshake tells nothing of them."""
    context = _Quiet(ssl.PROTOCOL_TLS_CLIENT)
    if ca_file is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def fault_of(error: OSError) -> RelayError:
    """What a call is told of a connection that could not be had."""
    if isinstance(error, ProxyError):
        return RelayError("upstream_proxy")
    if isinstance(error, (ssl.SSLError, ssl.CertificateError)):
        return RelayError("upstream_tls")
    if error.errno in EXHAUSTED:  # nobody is at fault but this process: no provider is down
        return RelayError("overloaded", retry_after_seconds=1)
    return RelayError("upstream_connect")


def reason_of(error: OSError) -> str:
    """Why a connection could not be had, as one word for the log."""
    if isinstance(error, ProxyError):
        return error.reason
    if isinstance(error, ssl.SSLError):
        return "certificate" if isinstance(error, ssl.SSLCertVerificationError) else "tls"
    if isinstance(error, socket.gaierror):
        return "name"
    if isinstance(error, TimeoutError):
        return "timeout"
    if error.errno in EXHAUSTED:
        return "exhausted"
    return "refused" if isinstance(error, ConnectionRefusedError) else "network"
