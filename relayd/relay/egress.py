"""Egress proxies: a tunnel to a provider through an HTTP CONNECT or a SOCKS5 proxy.

Law: only what the configuration names is used (environment proxies never are), and the provider's
name is resolved by the proxy, not here. Sources: RFC 9110 section 9.3.6, RFC 1928.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Final
from urllib.parse import urlsplit

REPLY_BYTES_MAX: Final = 8 * 1024
_SOCKS_NO_AUTHENTICATION: Final = b"\x05\x01\x00"
_SOCKS_BOUND_BYTES: Final = {1: 4, 4: 16}


class ProxyError(OSError):
    """The proxy did not open the tunnel."""


async def tunnel(proxy: str, host: str, port: int) -> socket.socket:
    """A connected socket whose bytes go to `host:port`; raises OSError where there is none.

    The caller bounds the time.
    """
    parts = urlsplit(proxy)
    assert parts.hostname is not None and parts.port is not None
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM)
    family, kind, protocol, _, address = found[0]
    sock = socket.socket(family, kind, protocol)
    sock.setblocking(False)
    try:
        await loop.sock_connect(sock, address)
        if parts.scheme == "socks5":
            await _socks5(sock, host, port)
        else:
            await _connect(sock, host, port)
    except BaseException:
        sock.close()
        raise
    return sock


async def _connect(sock: socket.socket, host: str, port: int) -> None:
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(
        sock, f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode("ascii"))
    reply = b""
    while not reply.endswith(b"\r\n\r\n"):
        # octet by octet: what follows the head is the provider's
        octet = await loop.sock_recv(sock, 1)
        if not octet or len(reply) > REPLY_BYTES_MAX:
            raise ProxyError
        reply += octet
    status = reply.split(b" ", 2)[1:2]
    if not reply.startswith(b"HTTP/1.") or not status or not status[0].startswith(b"2"):
        raise ProxyError


async def _socks5(sock: socket.socket, host: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, _SOCKS_NO_AUTHENTICATION)
    if await _exactly(sock, 2) != b"\x05\x00":
        raise ProxyError
    await loop.sock_sendall(
        sock, b"\x05\x01\x00" + _socks_address(host) + port.to_bytes(2, "big"))
    reply = await _exactly(sock, 4)
    if reply[:2] != b"\x05\x00":
        raise ProxyError
    if reply[3] == 3:
        length = (await _exactly(sock, 1))[0]
    else:
        length = _SOCKS_BOUND_BYTES.get(reply[3], 0)
    await _exactly(sock, length + 2)


def _socks_address(host: str) -> bytes:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = host.encode("idna")
        return b"\x03" + bytes([len(name)]) + name
    return (b"\x01" if address.version == 4 else b"\x04") + address.packed


async def _exactly(sock: socket.socket, count: int) -> bytes:
    loop = asyncio.get_running_loop()
    data = b""
    while len(data) < count:
        piece = await loop.sock_recv(sock, count - len(data))
        if not piece:
            raise ProxyError
        data += piece
    return data
