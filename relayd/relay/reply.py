"""Replies towards the client: heads built from an allow-list, and the relay's own answers.

Every reply carries the call's id as `x-request-id` and `request-id`, and the number of the
privacy policy in force, the same for everybody; nothing of a provider's head passes that
wire/headers.py does not list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from relayd.core.errors import RelayError
from relayd.relay.exchange import Exchange
from relayd.relay.view import View
from relayd.wire.limit_fields import LIMIT_FIELDS
from relayd.wire.shapes import error_body, error_fields, stream_error

JSON: Final = (b"content-type", b"application/json")
EXPOSED: Final = ", ".join((
    "x-request-id", "request-id", "retry-after", "retry-after-ms", "x-should-retry",
    "relay-dropped", "relay-policy-version", *LIMIT_FIELDS)).encode()
_STRICT: Final = b"strict-transport-security: max-age=31536000\r\n"
"""For a year, browsers come by TLS alone (RFC 6797); without TLS it must not be said."""
_ALWAYS: Final = b"cache-control: no-store\r\nx-content-type-options: nosniff\r\n"
_LAST: Final = b"connection: close\r\n"
_LAST_UPGRADE: Final = b"connection: upgrade, close\r\n"
"""Who sends Upgrade names it here too (RFC 9110 section 7.8)."""
_STATUS_LINES: Final = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode())
    for status in HTTPStatus
}

Fields = Iterable[tuple[bytes, bytes]]


class Replier:
    """Builds heads and writes the relay's own answers. `date` gives the Date field's value,
    `view` the line that names the policy in force; `tls`: the relay itself ends TLS."""

    def __init__(self, cors_origins: tuple[str, ...], date: Callable[[], bytes],
                 view: View, tls: bool) -> None:
        self._origins = frozenset(origin.encode() for origin in cors_origins)
        self._date = date
        self._view = view
        self._more = _STRICT if tls else b""

    def head(self, exchange: Exchange, status: int, fields: Fields, framing: bytes) -> bytes:
        """A final head. `framing` is its framing field line, b"" where the connection's end is."""
        call_id = exchange.id.encode()
        more = self._more
        if exchange.dropped:
            names = ", ".join(exchange.dropped).encode("ascii", "replace")
            more += b"relay-dropped: %b\r\n" % names
        if exchange.ticket is not None:
            more += exchange.ticket.lines(exchange)
        if self._origins:
            more += self._cors(exchange.head.fields.get(b"origin"))
        if not exchange.body_complete:  # whose rest is let go, with the connection
            exchange.keep_alive = False
        if not exchange.keep_alive:
            more += _LAST_UPGRADE if status == 426 else _LAST
        elif exchange.head.minor == 0:
            more += b"connection: keep-alive\r\n"
        return b"%bdate: %b\r\nx-request-id: %b\r\nrequest-id: %b\r\n%b%b\r\n" % (
            _opening(status, tuple(fields), self._view.line), self._date(), call_id, call_id,
            framing, more)

    def _cors(self, origin: bytes | None) -> bytes:
        if origin is None or not self.origin_allowed(origin):
            return b"vary: origin\r\n"
        return (
            b"access-control-allow-origin: %b\r\nvary: origin\r\n"
            b"access-control-expose-headers: %b\r\n" % (origin, EXPOSED)
        )

    def origin_allowed(self, origin: bytes) -> bool:
        """Whether pages of this origin may read replies."""
        return origin in self._origins or b"*" in self._origins

    def answer(self, exchange: Exchange, status: int, fields: Fields, body: bytes) -> None:
        """Writes a whole reply of the relay's own; to HEAD its head alone."""
        framing = b"content-length: %d\r\n" % len(body)
        if status in (204, 304):  # RFC 9110 section 8.6
            framing = b""
        data = self.head(exchange, status, fields, framing)
        if exchange.head.method != b"HEAD":
            data += body
        exchange.status = status
        exchange.replied = True
        exchange.connection.write(data)

    def error(self, exchange: Exchange, error: RelayError) -> None:
        """Tells the client an error: as a reply, or in a stream that has begun as its last event.

        A stream that fails is never ended cleanly: after the event the connection is cut.
        """
        copying = exchange.copying
        if exchange.replied and (copying is None or copying.begun):
            self._cut(exchange, error)
            return
        if error.close or error.status == 426 or not exchange.body_complete:
            exchange.keep_alive = False
        body = error_body(exchange.target.api, error, exchange.id)
        fields = [JSON, *error_fields(error)]
        if error.code == "method_not_allowed":
            models = exchange.target.kind == "models"
            fields.append((b"allow", b"GET, HEAD" if models else b"POST"))
        if error.status == 401:  # RFC 9110 section 15.5.2, RFC 6750 section 3
            fields.append((b"www-authenticate", b'Bearer realm="relayd"'))
        if error.code == "tls_required":  # RFC 9110 section 15.5.22, RFC 2817
            fields.append((b"upgrade", b"TLS/1.2, HTTP/1.1"))
        elif error.status == 426:  # RFC 6455 section 4.4
            fields += [(b"upgrade", b"websocket"), (b"sec-websocket-version", b"13")]
        self.answer(exchange, error.status, fields, body)

    def _cut(self, exchange: Exchange, error: RelayError) -> None:
        copying = exchange.copying
        endpoint = exchange.target.endpoint
        if copying is not None and endpoint is not None and copying.is_event_stream:
            event = stream_error(exchange.target.api, endpoint.operation, error, exchange.id)
            copying.end_with(event)
        elif copying is not None:
            copying.end_array(error)
        exchange.connection.cut()

    def refusal(self, error: RelayError, call_id: str, to_head: bool = False) -> bytes:
        """The answer to a request whose head could not be read: no exchange, connection closed.

        To HEAD it has no body, as any other.
        """
        body = error_body("openai", error, call_id)
        name = call_id.encode()
        return b"".join([
            _opening(error.status, (JSON, *error_fields(error)), self._view.line),
            b"date: ", self._date(),
            b"\r\nx-request-id: %b\r\nrequest-id: %b\r\n" % (name, name),
            b"content-length: %d\r\n%bconnection: close\r\n\r\n" % (len(body), self._more),
            b"" if to_head else body,
        ])


@lru_cache(maxsize=256)
def _opening(status: int, fields: tuple[tuple[bytes, bytes], ...], more: bytes) -> bytes:
    """The status line, these fields and those of every reply: the same for most calls."""
    line = _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
    return line + b"".join([b"%b: %b\r\n" % field for field in fields]) + _ALWAYS + more
