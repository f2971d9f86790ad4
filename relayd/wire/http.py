"""The head of a request: read strictly, or refused (RFC 9112, RFC 9110).

llhttp (httptools) checks the grammar; what it leaves open is decided here: the version, the
target's form, Host, and that exactly one framing applies. A head whose meaning is ambiguous is
refused and its connection closed, so that nothing behind this relay can read it in another way.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Any, Final, NamedTuple

import httptools

from relayd.core.errors import RelayError
from relayd.wire.dialect import POST_PATHS

_FIELDS: Final = re.compile(
    # sorted by how they begin: a search that ignores case tries the branches one by one
    rb"\r\n(a(?:uthorization|pi-key|nthropic-(?:version|beta)|ccess-control-request-headers)"
    rb"|con(?:tent-(?:length|type|encoding)|nection)|h(?:ost|ttp-referer)"
    rb"|x-(?:api-key|goog-api-key|forwarded-(?:for|proto)|stainless-(?:read-)?timeout|title)"
    rb"|user-agent|transfer-encoding|expect|upgrade|o(?:rigin|penai-beta)"
    rb"|sec-websocket-(?:key|protocol|version)):[ \t]*([^\r]*)",
    re.IGNORECASE,
)
_ONCE: Final = frozenset({b"host", b"content-length", b"transfer-encoding", b"authorization",
                          b"content-type", b"content-encoding", b"expect"})
_HOST: Final = re.compile(
    rb"(?:[A-Za-z0-9._~-]{1,255}|\[([0-9A-Fa-f:.]{2,45})\])(?::([0-9]{0,5}))?")
_PORT_MAX: Final = 65535
_LINE: Final = re.compile(rb"([A-Z][A-Z-]{0,19}) ([\x21-\x7e]+) (HTTP/[0-9]\.[0-9])")
_ABSOLUTE: Final = re.compile(r"(?i:https?)://([^/?#@\\]+)(/[^#]*)?")
_TARGET: Final = re.compile(r"/[A-Za-z0-9/._:~@!$&'()*+,;=%-]*(?:\?[\x21\x22\x24-\x7e]*)?")
_START: Final = re.compile(rb"[A-Za-z!#$%&'*+.^_`|~0-9-]{0,20}(?: [^\r\n]*\r?)?")
_METHOD: Final = re.compile(rb"[A-Z][A-Z-]{0,19} ")
_PADDED: Final = re.compile(
    rb"(\ntransfer-encoding:[ \t]*chunked)[ \t]+(?=\r|\Z)", re.IGNORECASE)
"""Blanks behind a value are no part of it (RFC 9112 section 5); llhttp takes a tab for one."""

VERSIONS: Final = {b"HTTP/1.1": 1, b"HTTP/1.0": 0}
_KNOWN_LINES: Final = {
    b"POST " + path.encode() + b" HTTP/1.1": path for path in POST_PATHS
}
"""Request lines that need no further look: most requests have one of them."""


@dataclass(slots=True)
class RequestHead:
    """A checked head. `fields` holds the wanted ones alone, by lower-case name; its repr is empty.

    `content_length` is None without a body or with chunked framing; `minor` is HTTP/1.x's x.
    `memo` is for what the head's reader has worked out from it.
    """

    method: bytes
    path: str
    query: str
    minor: int
    fields: dict[bytes, bytes]
    keep_alive: bool
    content_length: int | None
    chunked: bool
    memo: Any = None

    def __repr__(self) -> str:
        return "RequestHead(...)"


class HeadLimits(NamedTuple):
    """How long a head may be, how many fields it may have, how long its target may be."""

    head_bytes_max: int
    header_count_max: int
    target_bytes_max: int


class RepeatedHead:
    """Recognises the head of a connection's last request when it comes again.

    A client sends the same octets with every request but for the length of its body; octets that
    are the same have the same meaning, so they are not read again.
    """

    __slots__ = ("_before", "_behind", "_start", "_stop", "head")

    def __init__(self, raw: bytes, head: RequestHead) -> None:
        at = raw.lower().find(b"\r\ncontent-length:")
        at = raw.index(b":", at + 2) + 1
        digits = raw[at:raw.index(b"\r", at)]
        at += len(digits) - len(digits.lstrip(b" \t"))
        self._before = raw[:at]
        self._start = at
        self._stop = raw.index(b"\r", at)
        self._behind = raw[self._stop:]
        self.head = head

    def read(self, data: bytes) -> int:
        """Where the head ends in `data` if it is the same one, its length set; else 0."""
        start, stop, behind = self._start, self._stop, self._behind
        if data[:start] != self._before:
            return 0
        end = stop + len(behind)
        if data[stop:end] != behind:  # the length has not as many digits as the one before
            stop = data.find(b"\r", start, start + 12)
            end = stop + len(behind)
            if stop < 0 or data[stop:end] != behind:
                return 0
            self._stop = stop
        digits = data[start:stop]
        if not digits.isdigit():
            return 0
        self.head.content_length = int(digits)
        return end


class _Nothing:
    """A parser's protocol that wants no callbacks: llhttp then only checks."""


_NOTHING: Final = _Nothing()


class PartialHead:
    """Watches a head that arrives in pieces, so that garbage is refused before it ends."""

    __slots__ = ("_parser", "_padded", "_seen")

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(_NOTHING)
        self._padded = False
        self._seen = 0

    def feed(self, whole: bytes, limits: HeadLimits) -> None:
        """`whole` is all that has come of the head; raises what is wrong with it already."""
        if len(whole) > limits.head_bytes_max:
            raise _too_long("head_too_large", whole)
        line, ended, _ = whole.partition(b"\r\n")
        if len(line) > limits.target_bytes_max + 32:
            raise _too_long("target_too_long", line)
        if ended:
            _request_line(line, limits)
        elif not _START.fullmatch(line):
            raise RelayError("bad_http", close=True)
        if self._padded:
            return
        try:
            self._parser.feed_data(whole[self._seen:])
        except httptools.HttpParserUpgrade:
            pass
        except httptools.HttpParserError:
            self._padded = _PADDED.search(whole) is not None  # judged when it is whole
            if not self._padded:
                raise RelayError("bad_http", close=True) from None
        self._seen = len(whole)


def behind_empty_lines(data: bytes) -> bytes:
    """What of `data` begins a request: empty lines before one mean nothing (RFC 9112 section 2.2).

    A CR whose LF may yet come is kept; raises bad_http for one that no LF follows.
    """
    rest = data.lstrip(b"\r\n")
    bare = data[:len(data) - len(rest)].replace(b"\r\n", b"").count(b"\r")
    if not bare:
        return rest
    if rest or bare > 1 or not data.endswith(b"\r"):
        raise RelayError("bad_http", close=True)
    return b"\r"


def read_head(raw: bytes, limits: HeadLimits) -> RequestHead:
    """Reads one head that ends with its empty line; raises RelayError with `close` set."""
    if len(raw) > limits.head_bytes_max:
        raise _too_long("head_too_large", raw)
    if raw.count(b"\r\n") - 2 > limits.header_count_max:
        raise RelayError("head_too_large", close=True)
    line_end = raw.find(b"\r\n")
    line = raw[:line_end]
    known = _KNOWN_LINES.get(line)
    if known is not None:
        method, path, query, minor = b"POST", known, "", 1
    else:
        method, target, minor = _request_line(line, limits)
        path, query = _target(target, method)
    if not _sound(raw) and (not _PADDED.search(raw) or not _sound(_PADDED.sub(rb"\1", raw))):
        raise RelayError("bad_http", close=True)
    fields = _fields(raw, line_end)
    _check_host(fields, minor)
    if fields.get(b"expect", b"100-continue").lower() != b"100-continue":
        raise RelayError("expectation_failed", close=True)
    length, chunked = _framing(fields, minor)
    return RequestHead(method, path, query, minor, fields, _keep_alive(fields, minor),
                       length, chunked)


def _too_long(code: str, raw: bytes) -> RelayError:
    """What is said of a head that is too long: one without a method is no HTTP at any length."""
    return RelayError(code if _METHOD.match(raw) else "bad_http", close=True)


def _sound(raw: bytes) -> bool:
    """What llhttp says of a whole head's grammar."""
    try:
        httptools.HttpRequestParser(_NOTHING).feed_data(raw)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError:
        return False
    return True


def _request_line(line: bytes, limits: HeadLimits) -> tuple[bytes, bytes, int]:
    match = _LINE.fullmatch(line)
    if match is None:
        too_long = len(line) > limits.target_bytes_max
        raise _too_long("target_too_long" if too_long else "bad_http", line)
    method, target, version = match.groups()
    minor = VERSIONS.get(version)
    if minor is None:
        raise RelayError("http_version", close=True)
    if len(target) > limits.target_bytes_max:
        raise RelayError("target_too_long", close=True)
    return method, target, minor


def _fields(raw: bytes, line_end: int) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    for name, value in _FIELDS.findall(raw, line_end):
        name = name.lower()
        value = value.rstrip(b" \t")
        if name not in fields:
            fields[name] = value
        elif name in _ONCE:
            code = "bad_host" if name == b"host" else "ambiguous_framing"
            raise RelayError(code, close=True)
        else:
            fields[name] += b", " + value
    return fields


def _keep_alive(fields: dict[bytes, bytes], minor: int) -> bool:
    """RFC 9112 section 9.3."""
    connection = fields.get(b"connection")
    if connection is None:
        return minor == 1
    options = {option.strip() for option in connection.lower().split(b",")}
    return b"close" not in options and (minor == 1 or b"keep-alive" in options)


def _check_host(fields: dict[bytes, bytes], minor: int) -> None:
    host = fields.get(b"host")
    if host is None:
        if minor == 1:
            raise RelayError("bad_host", close=True)
    elif not _valid_host(host):
        raise RelayError("bad_host", close=True)


@lru_cache(maxsize=64)
def _valid_host(host: bytes) -> bool:
    match = _HOST.fullmatch(host)
    if match is None or int(match[2] or 0) > _PORT_MAX:
        return False
    try:
        return match[1] is None or bool(IPv6Address(match[1].decode()))
    except ValueError:
        return False


def _framing(fields: dict[bytes, bytes], minor: int) -> tuple[int | None, bool]:
    length = fields.get(b"content-length")
    coding = fields.get(b"transfer-encoding")
    if coding is not None:
        # RFC 9112 section 6.1: chunked alone, and never beside a length or in HTTP/1.0
        if length is not None or minor == 0 or coding.lower() != b"chunked":
            raise RelayError("ambiguous_framing", close=True)
        return None, True
    if length is None:
        return None, False
    if not length.isdigit() or len(length) > 20:
        raise RelayError("ambiguous_framing", close=True)
    return int(length), False


def _target(target: bytes, method: bytes) -> tuple[str, str]:
    text = target.decode("ascii")
    if not text.startswith("/"):
        match = _ABSOLUTE.fullmatch(text)
        if match is not None and _valid_host(match[1].encode()):
            text = match[2] or "/"
        elif text == "*" and method == b"OPTIONS":
            return "*", ""
        else:
            raise RelayError("bad_http", close=True)
    if not _TARGET.fullmatch(text):
        raise RelayError("bad_http", close=True)
    path, _, query = text.partition("?")
    return path, query
