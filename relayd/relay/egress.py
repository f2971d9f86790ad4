"""Egress proxies: a tunnel to a provider through an http, https or SOCKS5 proxy.

Law: only what the configuration names is used (environment proxies never are), and the provider's
name is resolved by the proxy, not here. A credential goes to the proxy alone and is in no error.
Sources: RFC 9110 sections 9.3.6 and 11.7.2, RFC 7617, RFC 1928, RFC 1929.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from base64 import b64encode
from typing import Final, Literal

from relayd.core.provider import Proxy
from relayd.ops.poll import read_through

REPLY_BYTES_MAX: Final = 8 * 1024
HEAD_END: Final = re.compile(rb"\r?\n\r?\n")
"""Old proxies end their lines with LF alone (RFC 9112 section 2.2)."""
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([0-9]{3})[ \r\n]")
_SOCKS_BOUND_BYTES: Final = {1: 4, 4: 16}
_SOCKS_OPEN: Final = 0
_SOCKS_PASSWORD: Final = 2

Reason = Literal["proxy_refused", "proxy_credential", "proxy_protocol", "proxy_unreachable",
                 "proxy_tls"]


class ProxyError(OSError):
    """The proxy did not open the tunnel; `reason` says why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


async def tunnel(sock: socket.socket, proxy: Proxy, host: str, port: int) -> None:
    """Makes a connection to an http or socks5 proxy one whose bytes go to `host:port`.

    Raises OSError, mostly ProxyError, where that fails. The caller bounds the time.
    """
    if proxy.scheme == "socks5":
        await _socks5(sock, proxy, host, port)
        return
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, connect_request(proxy, host, port))
    left = REPLY_BYTES_MAX
    while True:
        # what follows the head is the provider's
        head = await read_through(sock, HEAD_END, b"", left)
        left -= len(head)
        if left < 0 or HEAD_END.search(head) is None:
            raise ProxyError("proxy_protocol")
        if not judge_reply(head):
            return


def connect_request(proxy: Proxy, host: str, port: int) -> bytes:
    """The CONNECT request, with the proxy's credential where there is one."""
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    head = f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n".encode("ascii")
    if proxy.credential:
        head += b"Proxy-Authorization: Basic %b\r\n" % b64encode(proxy.credential.encode())
    return head + b"\r\n"


def judge_reply(reply: bytes) -> bool:
    """Raises ProxyError unless the reply's head says that the tunnel is open; True where it says
    nothing yet (1xx, RFC 9110 section 15.2)."""
    status = _STATUS.match(reply)
    if status is None:
        raise ProxyError("proxy_protocol")
    if status[1] == b"407":
        raise ProxyError("proxy_credential")
    if status[1][:1] not in b"12":
        raise ProxyError("proxy_refused")
    return status[1].startswith(b"1")


async def _socks5(sock: socket.socket, proxy: Proxy, host: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, b"\x05\x02\x00\x02" if proxy.credential else b"\x05\x01\x00")
    version, method = await _exactly(sock, 2)
    if version != 5:
        raise ProxyError("proxy_protocol")
    if method == _SOCKS_PASSWORD and proxy.credential:
        await _log_in(sock, proxy)
    elif method != _SOCKS_OPEN:
        raise ProxyError("proxy_credential")
    await loop.sock_sendall(
        sock, b"\x05\x01\x00" + _socks_address(host) + port.to_bytes(2, "big"))
    reply = await _exactly(sock, 4)
    if reply[0] != 5:
        raise ProxyError("proxy_protocol")
    if reply[1]:
        raise ProxyError("proxy_refused")
    if reply[3] == 3:
        length = (await _exactly(sock, 1))[0]
    else:
        length = _SOCKS_BOUND_BYTES.get(reply[3], 0)
    await _exactly(sock, length + 2)


async def _log_in(sock: socket.socket, proxy: Proxy) -> None:
    user, _, password = (part.encode() for part in proxy.credential.partition(":"))
    await asyncio.get_running_loop().sock_sendall(
        sock, b"\x01%c%b%c%b" % (len(user), user, len(password), password))
    if (await _exactly(sock, 2))[1]:
        raise ProxyError("proxy_credential")


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
            raise ProxyError("proxy_protocol")
        data += piece
    return data
