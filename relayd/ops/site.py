"""A site: an aiohttp application on one address, opened and closed.

Law: no access log; what is asked of it leaves no line, and what is no HTTP neither: it is answered
with the site's own headers, and nothing of it is said back. Connections are bounded in number and
in what they may wait for: they must not take the relay's descriptors. Bodies are handed on as they
came: aiohttp unpacks a thousandfold on the loop, also for whom nobody listens to.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from aiohttp import ClientConnectionResetError, web

from relayd.core.errors import RelayError
from relayd.core.network import prefix
from relayd.ops.configfile_address import parse_listen
from relayd.ops.occupant import occupant
from relayd.ops.process import file_limit

PLAIN_HEADERS: Final = MappingProxyType({"Server": "relayd", "Cache-Control": "no-store"})
KEEP_SECONDS: Final = 75.0
"""How long a connection is kept that asks nothing, or whose head is not whole. Proxies keep theirs
for a minute."""
STALL_SECONDS: Final = 60.0
"""How long an answer may wait for whoever does not read it."""
CONNECTIONS_MAX: Final = 512
"""For one more, one goes of the network that has most: the oldest that waits for nothing; where
none does, the oldest of all, so that nobody alone can keep others out."""
SHARE: Final = 32
"""Of few descriptors a site has one in so many: the relay keeps FILES_RESERVED for all of them."""


class _Handler(web.RequestHandler):
    """A connection. aiohttp answers what it cannot read by itself: in words that repeat the
    request, under its own name, with a line in the log."""

    headers: Mapping[str, str] = PLAIN_HEADERS
    most = CONNECTIONS_MAX
    network: bytes | None = None
    """Whose it is; None behind a proxy on a unix socket."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        # a unix socket's peer is the proxy in front
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family != socket.AF_UNIX:
            sock.setsockopt(
                socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(STALL_SECONDS * 1000))
            peer = transport.get_extra_info("peername")  # None: it has left already
            self.network = prefix(peer[0]) if peer else None
        self._make_room()

    def _make_room(self) -> None:
        assert self._manager is not None
        # in the order in which they came: this one is the last, and has asked nothing yet
        there = [each for each in self._manager.connections
                 if isinstance(each, _Handler) and each.transport is not None]
        if len(there) > self.most:
            counts = Counter(each.network for each in there)
            largest = max(counts.values())
            crowd = [each for each in there if counts[each.network] == largest]
            next((each for each in crowd if not each._request_in_progress),
                 crowd[0]).force_close()

    def log_exception(self, *words: Any, **more: Any) -> None:
        if not isinstance(more.get("exc_info"), web.RequestPayloadError):
            super().log_exception(*words, **more)

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        # who asks for an invitation (RFC 9110 10.1.1) and leaves is no defect
        if status >= 500 and not isinstance(exc, ClientConnectionResetError):
            self.log_exception("Error handling request", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun")
        code = "internal" if status >= 500 else "bad_http"
        response = web.Response(status=status, text=f"{RelayError(code).kind.message}\n",
                                headers=self.headers)
        response.force_close()
        return response


class _Server(web.Server):
    """Makes such connections."""

    def __init__(self, plain: web.Server, headers: Mapping[str, str]) -> None:
        super().__init__(plain.request_handler, request_factory=plain.request_factory,
                         handler_cancellation=plain.handler_cancellation, **plain._kwargs)
        self._headers = headers
        self._most = min(CONNECTIONS_MAX, max(1, file_limit() // SHARE))

    def __call__(self) -> web.RequestHandler:
        made = _Handler(self, loop=self._loop, **self._kwargs)
        made.headers, made.most = self._headers, self._most
        return made


class _Runner(web.AppRunner):
    """Serves an application by such a server."""

    def __init__(self, app: web.Application, headers: Mapping[str, str], **more: Any) -> None:
        super().__init__(app, **more)
        self._headers = headers

    async def _make_server(self) -> web.Server:
        return _Server(await super()._make_server(), self._headers)


class Site:
    """Takes an address as the configuration has it; `address` says the port that was given."""

    def __init__(self, listen: str, shutdown_seconds: float) -> None:
        self._text = listen
        self._listen = parse_listen(listen)
        self._shutdown_seconds = shutdown_seconds
        self._runner: web.AppRunner | None = None

    @property
    def address(self) -> tuple[str, int]:
        """(host, port) while open; (path, 0) of a Unix socket."""
        assert self._runner is not None
        bound = self._runner.addresses[0]
        return (bound, 0) if isinstance(bound, str) else (bound[0], bound[1])

    async def open(
        self, app: web.Application, *, handler_cancellation: bool = False,
        headers: Mapping[str, str] = PLAIN_HEADERS,
    ) -> None:
        """Binds; OSError, with the address, where that fails. `headers`: of what is answered to
        those who speak no HTTP."""
        runner = self._runner = _Runner(
            app, headers, access_log=None, shutdown_timeout=self._shutdown_seconds,
            handler_cancellation=handler_cancellation, keepalive_timeout=KEEP_SECONDS,
            auto_decompress=False)
        await runner.setup()
        try:
            await self._bound(runner).start()
        except OSError as error:
            await self.close()
            # whom the loop tells of it has the address in its own words, and a path in none
            number = error.errno or 0
            reason = os.strerror(number) if number > 0 else error.strerror
            if number == errno.EADDRINUSE and self._listen.port:
                reason = f"{reason}{occupant(self._listen.port)}"
            raise OSError(error.errno, f"{self._text}: {reason}") from None

    def _bound(self, runner: web.AppRunner) -> web.BaseSite:
        if self._listen.kind == "unix":
            return web.UnixSite(runner, self._listen.path)
        return web.TCPSite(runner, self._listen.host, self._listen.port)

    async def close(self) -> None:
        """Closes the address and its connections; may be called twice."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
