"""The plain port: sends browsers to the console's pages over https, and serves nothing else.

Law: nothing behind a head is read, and nothing of one is kept. Where a browser is sent stands in
the configuration; what a request says of the host counts for nothing. An API key that comes here
came in clear, so whoever minds keys is told of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from email.utils import formatdate
from typing import Final, cast

from relayd.console.page import STATIC_PREFIX
from relayd.console.route import Route
from relayd.core.errors import RelayError
from relayd.ops.clock import unix_ms
from relayd.ops.configfile_address import parse_listen
from relayd.wire.http import HeadLimits, RequestHead, read_head
from relayd.wire.shapes import error_body, error_fields

HEAD_SECONDS: Final = 5.0
"""A head must be whole by then."""
LINGER_SECONDS: Final = 1.0
"""How long what still comes is thrown away after an answer, so that the answer arrives."""
CONNECTIONS_MAX: Final = 512
"""Connections above are closed at once: the port must not take the relay's descriptors."""
LIMITS: Final = HeadLimits(16 * 1024, 128, 4096)
_SAFE: Final = frozenset({b"GET", b"HEAD"})
_END: Final = b"\r\n\r\n"
_REASONS: Final = {301: b"Moved Permanently", 426: b"Upgrade Required"}
_Fields = Iterable[tuple[bytes, bytes]]

Exposed = Callable[[Mapping[bytes, bytes], str], bool]
"""Given a head's fields and query: whether they show a key that works, which is then flagged."""


def rooms(routes: Iterable[Route]) -> frozenset[str]:
    """The first parts of the paths of all pages."""
    return frozenset(_room(route.path) for route in routes
                     if route.method == "GET" and not route.is_api) | {_room(STATIC_PREFIX)}


def _room(path: str) -> str:
    return path.split("/", 2)[1]


def answer(head: RequestHead, origin: str, known: frozenset[str], exposed: bool) -> bytes:
    """What a request gets: the page's address at `origin`, or 426."""
    if exposed or head.method not in _SAFE or _room(head.path) not in known:
        return refusal(RelayError("tls_required"), head.method)
    target = head.path + ("?" + head.query if head.query else "")
    return _reply(301, [(b"location", (origin + target).encode("ascii"))], b"")


def refusal(error: RelayError, method: bytes = b"") -> bytes:
    """An error, whole."""
    fields = [(b"content-type", b"application/json"), *error_fields(error)]
    if error.status == 426:  # RFC 9110 section 15.5.22, RFC 2817
        fields.append((b"upgrade", b"TLS/1.2, HTTP/1.1"))
    return _reply(error.status, fields, b"" if method == b"HEAD" else error_body(
        "openai", error, ""))


def _reply(status: int, fields: _Fields, body: bytes) -> bytes:
    upgrade = b"upgrade, close" if status == 426 else b"close"
    lines = [b"HTTP/1.1 %d %b" % (status, _REASONS.get(status, b"Error")),
             *(b"%b: %b" % each for each in fields),
             b"date: " + formatdate(unix_ms() / 1000, usegmt=True).encode(),
             b"content-length: %d" % len(body), b"connection: " + upgrade]
    return b"\r\n".join(lines) + _END + body


class Redirect:
    """Takes the address of `[console] redirect`. `origin()`: where the console is."""

    def __init__(self, listen: str, origin: Callable[[], str], routes: Iterable[Route],
                 exposed: Exposed) -> None:
        self._listen = parse_listen(listen)
        self._origin = origin
        self._rooms = rooms(routes)
        self._exposed = exposed
        self._server: asyncio.Server | None = None
        self.visitors: set[_Visitor] = set()

    @property
    def address(self) -> tuple[str, int]:
        """(host, port) while started."""
        assert self._server is not None
        found: tuple[str, int] = self._server.sockets[0].getsockname()[:2]
        return found

    async def start(self) -> None:
        """Binds; OSError where that fails."""
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Visitor(self), self._listen.host, self._listen.port)

    async def stop(self) -> None:
        """Closes the listener and its connections; may be called twice."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for visitor in tuple(self.visitors):
            visitor.leave()

    def read(self, raw: bytes) -> bytes:
        """The answer to one head."""
        try:
            head = read_head(raw, LIMITS)
        except RelayError as error:
            return refusal(error)
        return answer(head, self._origin(), self._rooms, self._exposed(head.fields, head.query))


class _Visitor(asyncio.Protocol):
    """One connection: a head, an answer, and that is all."""

    def __init__(self, redirect: Redirect) -> None:
        self._redirect = redirect
        self._raw = b""
        self._answered = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._timer = asyncio.get_running_loop().call_later(HEAD_SECONDS, self.leave)
        visitors = self._redirect.visitors
        if len(visitors) >= CONNECTIONS_MAX:
            self.leave()
        visitors.add(self)

    def data_received(self, data: bytes) -> None:
        if self._answered:
            return
        self._raw += data
        end = self._raw.find(_END)
        if end >= 0:
            self._say(self._redirect.read(self._raw[:end + len(_END)]))
        elif len(self._raw) > LIMITS.head_bytes_max:
            self._say(refusal(RelayError("head_too_large")))

    def _say(self, reply: bytes) -> None:
        self._answered, self._raw = True, b""
        self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(LINGER_SECONDS, self.leave)
        self._transport.write(reply)
        self._transport.write_eof()

    def leave(self) -> None:
        """Ends the connection now."""
        self._transport.abort()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._timer.cancel()
        self._redirect.visitors.discard(self)
