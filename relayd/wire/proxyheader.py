"""The PROXY protocol, versions 1 and 2: a header before all else, by which a balancer that passes
bytes on says who its client is.

Law: pure, and strict: what is not exactly a header is none. It is read to its last octet and no
further, for what follows is the client's.
Source: HAProxy's proxy-protocol.txt (2020/03/05), sections 2.1 and 2.2.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
WORD: Final = b"PROXY "
"""How a header of version 1 begins, which is a line."""
LINE_END: Final = re.compile(rb"\r\n")
HEADER_BYTES_MAX: Final = 4096
"""Of version 2, whose extensions (TLVs) are read over; version 1 has 107 at most."""
LINE_BYTES_MAX: Final = 107
UNKNOWN: Final = ("", 0)
"""The balancer does not say who it is, or speaks for itself (its health checks)."""
Client = tuple[str, int]
"""Address and port."""

_FIXED: Final = 16
_LEAST: Final = {b"PROXY TCP4": 32, b"PROXY TCP6": 22, b"PROXY UNKN": 15}
"""How long a line of version 1 is at least, by how it begins."""
_BEGIN: Final = 10
_LINE: Final = re.compile(
    rb"PROXY (?:UNKNOWN(?: [^\r\n]*)?"
    rb"|TCP([46]) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4}))\r\n")
_LOCAL, _PROXY = 0x20, 0x21
_UNSPEC, _TCP4, _TCP6, _UNIX = 0x00, 0x11, 0x21, 0x31
_ADDRESSES: Final = {_TCP4: 12, _TCP6: 36, _UNIX: 216}


class NoHeader(ValueError):
    """This is no header of the protocol."""

    def __init__(self) -> None:
        super().__init__("no PROXY header")


def missing(data: bytes) -> int:
    """How many octets of a header are still to come at least; 0 where it is whole.

    Raises NoHeader as soon as it cannot become one.
    """
    if SIGNATURE.startswith(data[:len(SIGNATURE)]):
        return _missing_of_two(data)
    if not data.startswith(WORD[:len(data)]):
        raise NoHeader
    if len(data) < _BEGIN:
        return _BEGIN - len(data)
    least = _LEAST.get(data[:_BEGIN], 0)
    if not least or len(data) > LINE_BYTES_MAX:
        raise NoHeader
    if data.endswith(b"\r\n"):
        return 0
    if len(data) == LINE_BYTES_MAX:
        raise NoHeader
    return max(1, least - len(data))


def _missing_of_two(data: bytes) -> int:
    if not data:
        return _BEGIN
    if len(data) < _FIXED:
        return _FIXED - len(data)
    length = _FIXED + int.from_bytes(data[14:_FIXED], "big")
    if length > HEADER_BYTES_MAX:
        raise NoHeader
    return max(0, length - len(data))


def client(header: bytes) -> Client:
    """Whom a whole header names, `UNKNOWN` for nobody; raises NoHeader."""
    if header.startswith(SIGNATURE):
        return _client_of_two(header)
    found = _LINE.fullmatch(header)
    if found is None:
        raise NoHeader
    version, source, destination, *ports = found.groups()
    if version is None:
        return UNKNOWN
    if any(int(port) > 65535 for port in ports):
        raise NoHeader
    kind = ipaddress.IPv4Address if version == b"4" else ipaddress.IPv6Address
    try:
        address, _ = kind(source.decode()), kind(destination.decode())
    except ValueError:
        raise NoHeader from None
    return str(address), int(ports[0])


def _client_of_two(header: bytes) -> Client:
    command, family = header[12], header[13]
    if command == _LOCAL:
        return UNKNOWN
    if command != _PROXY or family not in (_UNSPEC, *_ADDRESSES):
        raise NoHeader
    body = header[_FIXED:]
    if len(body) < _ADDRESSES.get(family, 0):
        raise NoHeader
    if family == _TCP4:
        return str(ipaddress.IPv4Address(body[:4])), int.from_bytes(body[8:10], "big")
    if family == _TCP6:
        return str(ipaddress.IPv6Address(body[:16])), int.from_bytes(body[32:34], "big")
    return UNKNOWN
