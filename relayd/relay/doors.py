"""The public listeners: sockets of every kind that `[server] listen` may name."""

from __future__ import annotations

import errno
import os
import socket
import ssl
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from relayd.ops.config import ServerConfig, TlsFiles
from relayd.ops.configfile_address import Listen, parse_listen
from relayd.ops.occupant import occupant
from relayd.relay.accept import Acceptor
from relayd.relay.plane import Plane

SYSTEMD_FIRST_FD: Final = 3
PORTS_OF_ROOT: Final = 1024
"""Linux' net.ipv4.ip_unprivileged_port_start, where nobody has set it."""


class Doors:
    """Opens the listeners of one plane and closes them."""

    def __init__(self, plane: Plane, server: ServerConfig, systemd_sockets: int) -> None:
        self._plane = plane
        self._listen = {text: parse_listen(text) for text in server.listen}
        self._reuse_port = server.reuse_port
        self._introduced = server.proxy_protocol
        self._tls = server_context(server.tls) if server.tls is not None else None
        self._systemd_sockets = systemd_sockets
        self._acceptors: list[Acceptor] = []
        self._addresses: list[tuple[str, int]] = []
        self._paths: dict[str, tuple[int, int]] = {}
        """The unix sockets that are ours, by what tells them from those that take their places."""

    @property
    def address(self) -> tuple[str, int]:
        """(host, port) of the first TCP listener; the port that was given for port 0."""
        if not self._addresses:
            raise LookupError("no TCP listener")
        return self._addresses[0]

    @property
    def port(self) -> int:
        """The port of the first TCP listener, 0 where all are unix sockets."""
        try:
            return self.address[1]
        except LookupError:
            return 0

    async def open(self) -> None:
        """Binds and listens; raises OSError, with the address, where one cannot be had."""
        for text, listen in self._listen.items():
            for sock in self._bound(text, listen):
                acceptor = Acceptor(
                    self._plane, sock, self._tls, text in self._introduced)
                self._acceptors.append(acceptor)
                acceptor.start()
                if sock.family in (socket.AF_INET, socket.AF_INET6):
                    self._addresses.append(sock.getsockname()[:2])

    def _bound(self, text: str, listen: Listen) -> list[socket.socket]:
        try:
            return self._bind(listen)
        except OSError as error:
            low = isinstance(error, PermissionError) and 0 < listen.port < PORTS_OF_ROOT
            hint = ": a port below 1024 is root's, or that of relayd.socket" if low else ""
            if error.errno == errno.EADDRINUSE and listen.port:
                hint = occupant(listen.port)
            raise OSError(
                error.errno, f"[server] listen, {text}: {error.strerror}{hint}") from None

    def _bind(self, listen: Listen) -> list[socket.socket]:
        if listen.kind == "systemd":
            if not self._systemd_sockets:
                raise OSError(errno.ENOTSOCK, "systemd handed over no socket (is relayd.socket"
                              " active?)")
            return [socket.socket(fileno=SYSTEMD_FIRST_FD + n)
                    for n in range(self._systemd_sockets)]
        if listen.kind == "unix":
            sock = _unix(listen.path)
            self._paths[listen.path] = _identity(listen.path)
            return [sock]
        family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if self._reuse_port:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((listen.host, listen.port))
        except OSError:
            sock.close()
            raise
        return [sock]

    def renewed(self, tls: TlsFiles | None) -> Callable[[], None]:
        """Reads the certificate as it is in its files now. What is returned takes it, for
        handshakes from then on.

        Raises OSError (ssl.SSLError is one) or ValueError where they cannot be used.
        """
        # another context: one keeps a certificate of each kind of key, and may prefer the old
        context = None if self._tls is None or tls is None else server_context(tls)

        def take() -> None:
            if context is not None:
                self._tls = context
                for acceptor in self._acceptors:
                    acceptor.renew(context)
        return take

    async def close(self) -> None:
        """Takes no more connections; those that are open go on."""
        for path, ours in self._paths.items():
            with suppress(OSError):  # it is gone, or may not be removed: that keeps nobody waiting
                if _identity(path) == ours:
                    os.unlink(path)
        self._paths.clear()
        for acceptor in self._acceptors:
            acceptor.close()
        self._acceptors.clear()


def _unix(path: str) -> socket.socket:
    """A unix socket at `path`; one that a dead process left behind is replaced, a file is not."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        if os.path.exists(path) and not _answers(path):
            if not stat.S_ISSOCK(os.stat(path).st_mode):
                raise OSError(errno.EEXIST, "there is something that is no socket")
            os.unlink(path)
        sock.bind(path)
    except OSError:
        sock.close()
        raise
    return sock


def _identity(path: str) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except BlockingIOError:  # somebody listens, and has more to accept than fits
            return True
        except OSError:
            return False
        return True


def server_context(tls: TlsFiles) -> ssl.SSLContext:
    """TLS 1.2 and 1.3, HTTP/1.1 alone (no client was seen that needs more)."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(tls.certificate, tls.key, password="")  # nobody is there to be asked
    return context
