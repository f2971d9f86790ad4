"""Connections to one provider: opened, kept, reused and let go; shared by all clients.

Law: no client has a connection of its own (a connection would be a session id): the pool is last
in, first out, each connection ends after a bounded number of uses and a bounded, jittered idle
time.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, Final

import aiofastnet

from relayd.core.errors import RelayError
from relayd.core.provider import Provider
from relayd.ops.clock import monotonic
from relayd.ops.tasks import Tasks
from relayd.relay.egress import tunnel
from relayd.relay.upstream import UpstreamConnection

USES_MAX: Final = 200
IDLE_SECONDS_MIN: Final = 30.0
IDLE_SECONDS_SPREAD: Final = 30.0
WRITE_BUFFER_BYTES: Final = 256 * 1024
HANG_SECONDS: Final = 0.5
"""A connection that takes longer, while others wait too, is a sign: most take 0.1 at most."""
HANGING_MIN: Final = 3


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

    def __init__(self, provider: Provider, tasks: Tasks, dice: Callable[[], float]) -> None:
        self.provider = provider
        self._tasks = tasks
        self._dice = dice
        self._idle: list[UpstreamConnection] = []
        self._all: set[UpstreamConnection] = set()
        self._opening: dict[Opening, float] = {}
        """Since when each one is under way, the oldest first."""
        self._closed = False
        self._retired = False
        self._tls = tls_context(provider) if provider.address.scheme == "https" else None

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
        """Starts to open a connection; raises upstream_busy at the provider's limit."""
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
            opening.error = error
        finally:
            del self._opening[opening]
            if opening.connection is None and opening.error is None:
                opening.error = RelayError("upstream_connect")
            if not opening.abandoned:
                opening.wake()
            elif opening.connection is not None:
                self.give_back(opening.connection)

    async def _connect(self) -> UpstreamConnection:
        address = self.provider.address
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self.provider.timeouts.connect):
                proxy = self.provider.proxy
                if proxy is None:
                    where: dict[str, Any] = {"host": address.host, "port": address.port}
                else:
                    where = {"sock": await tunnel(proxy, address.host, address.port)}
                transport, protocol = await aiofastnet.create_connection(
                    loop, lambda: UpstreamConnection(self), **where,
                    ssl=self._tls, server_hostname=address.host if self._tls else None)
        except (ssl.SSLError, ssl.CertificateError):
            raise RelayError("upstream_tls") from None
        except OSError:  # TimeoutError is one of them
            raise RelayError("upstream_connect") from None
        if protocol.closed:  # the provider was gone again before it was asked anything
            raise RelayError("upstream_connect")
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self._all.add(protocol)
        if self._closed:
            protocol.abort()
            raise RelayError("draining")
        return protocol

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


def tls_context(provider: Provider) -> ssl.SSLContext:
    """One context per provider, the same for all clients: the handshake tells nothing of them."""
    context = ssl.create_default_context(cafile=provider.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context
