"""Egress proxies that are reached over TLS: CONNECT inside TLS, the provider's TLS inside that.

Law: the proxy's certificate is verified before its credential is sent; the proxy sees the name of
the provider and, where the provider is reached over TLS, nothing else.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Final, TypeVar

import aiofastnet

from relayd.core.provider import Address, Proxy
from relayd.relay.egress import (
    HEAD_END, REPLY_BYTES_MAX, ProxyError, connect_request, judge_reply,
)

SHUTDOWN_SECONDS: Final = 2.0
"""How long whoever is on the other side may take to say that TLS ends."""
Made = TypeVar("Made", bound=asyncio.Protocol)


class _Talk(asyncio.Protocol):
    """The connection to the proxy until the tunnel is open."""

    def __init__(self) -> None:
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reply = b""
        self._octets = 0

    def data_received(self, data: bytes) -> None:
        """The reply to CONNECT. The provider has nothing to say before it is asked."""
        self._reply += data
        self._octets += len(data)
        try:
            opened = self._read()
            if self._octets > REPLY_BYTES_MAX or opened and self._reply:
                raise ProxyError("proxy_protocol")
        except ProxyError as error:
            self._end(error)
        else:
            if opened:
                self._end(None)

    def _read(self) -> bool:
        """Whether a head has come that opens the tunnel; it and those before it are taken off."""
        while head := HEAD_END.search(self._reply):
            reply, self._reply = self._reply[:head.end()], self._reply[head.end():]
            if not judge_reply(reply):
                return True
        return False

    def eof_received(self) -> bool:
        """The proxy leaves."""
        self._end(ProxyError("proxy_protocol"))
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """The proxy has left."""
        self._end(ProxyError("proxy_protocol"))

    def _end(self, error: ProxyError | None) -> None:
        if self.answered.done():
            return
        if error is None:
            self.answered.set_result(None)
        else:
            self.answered.set_exception(error)


async def tunnel_tls(
    sock: socket.socket, proxy: Proxy, context: ssl.SSLContext, address: Address,
    inner: ssl.SSLContext | None, make: Callable[[], Made],
) -> tuple[asyncio.Transport, Made]:
    """A protocol of `make` whose bytes go to `address` through the proxy that `sock` is open to.

    `context` is for the proxy, `inner` for the provider (None: plain http). Raises OSError (also
    ssl.SSLError): ProxyError for what the proxy does, anything else is the provider's. The socket
    is closed then. The caller bounds the time.
    """
    loop = asyncio.get_running_loop()
    try:
        outer, talk = await aiofastnet.create_connection(
            loop, _Talk, sock=sock, ssl=context, server_hostname=proxy.host,
            ssl_shutdown_timeout=SHUTDOWN_SECONDS)
    except OSError:
        sock.close()
        raise ProxyError("proxy_tls") from None
    except BaseException:
        sock.close()
        raise
    try:
        outer.write(connect_request(proxy, address.host, address.port))
        await talk.answered
        protocol = make()
        if inner is None:
            outer.set_protocol(protocol)
            protocol.connection_made(outer)
            return outer, protocol
        transport = await aiofastnet.start_tls(
            loop, outer, protocol, inner, server_hostname=address.host,
            ssl_shutdown_timeout=SHUTDOWN_SECONDS)
    except BaseException:
        outer.abort()
        talk.answered.cancel()
        raise
    protocol.connection_made(transport)
    return transport, protocol
