"""Sockets are asked themselves, without waiting."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from select import POLLIN

from relayd.ops.poll import keep_alive, polled, say_all


async def test_input_is_seen_where_it_is_asked_for_and_a_reset_always() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        loop = asyncio.get_running_loop()
        here = socket.create_connection(listening.getsockname())
        there, _ = listening.accept()
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=here)
        transport.pause_reading()  # from now on the loop says nothing of it
        assert not polled(transport, POLLIN)
        there.sendall(b"x")
        assert polled(transport, POLLIN) and not polled(transport)
        there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        there.close()
        assert polled(transport)
        transport.abort()


async def test_nobody_is_told_of_an_end_who_is_gone() -> None:
    class Gone:
        def write_eof(self) -> None:
            raise OSError(errno.ENOTCONN, "not connected")

    say_all(Gone())  # type: ignore[arg-type]
    with socket.create_server(("127.0.0.1", 0)) as listening:
        here = socket.create_connection(listening.getsockname())
        there, _ = listening.accept()
        transport, _ = await asyncio.get_running_loop().create_connection(
            asyncio.Protocol, sock=here)
        say_all(transport)
        assert there.recv(1) == b""
        there.close()
        transport.abort()


async def test_connections_of_a_listening_socket_are_kept_alive_as_it_is() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        keep_alive(listening, 30)
        with socket.create_connection(listening.getsockname()):
            there, _ = listening.accept()
            with there:
                options = socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT
                assert there.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                assert [there.getsockopt(socket.IPPROTO_TCP, option)
                        for option in options] == [30, 15, 3]


def test_a_unix_socket_has_no_need() -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        keep_alive(sock, 30)
        assert not sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
