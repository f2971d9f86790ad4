"""Sockets are asked themselves, without waiting."""

from __future__ import annotations

import asyncio
import errno
import re
import socket
import struct
from select import POLLIN

import pytest

from relayd.ops.poll import (
    UNHEARD_TIMES, keep_alive, polled, read_through, say_all, unheard,
)


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
        await asyncio.sleep(0.01)
        assert polled(transport)  # it is closed
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


class Told:
    """A socket as the kernel tells of it after so many sendings."""

    def __init__(self, family: int, again: int) -> None:
        self.family = family
        self._again = again

    def get_extra_info(self, name: str) -> Told:
        assert name == "socket"
        return self

    def getsockopt(self, level: int, name: int, size: int) -> bytes:
        assert (level, name) == (socket.IPPROTO_TCP, socket.TCP_INFO)
        return bytes([1, 4, self._again, 0, 0, 0, 0, 0])[:size]


def test_who_takes_nothing_of_what_is_sent_again_is_not_there() -> None:
    for again, gone in ((0, False), (UNHEARD_TIMES - 1, False), (UNHEARD_TIMES, True)):
        assert unheard(Told(socket.AF_INET, again)) is gone  # type: ignore[arg-type]
    assert not unheard(Told(socket.AF_UNIX, 99))  # type: ignore[arg-type]


async def test_a_peer_that_does_not_read_is_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        here = socket.create_connection(listening.getsockname())
        there, _ = listening.accept()
        with there:
            transport, _ = await asyncio.get_running_loop().create_connection(
                asyncio.Protocol, sock=here)
            transport.write(bytes(8 * 1024 * 1024))
            await asyncio.sleep(1)
            assert transport.get_write_buffer_size() and not unheard(transport)
            transport.abort()


@pytest.mark.parametrize("cuts", [1, 3, 99])
async def test_a_socket_is_read_through_an_end_and_no_further(cuts: int) -> None:
    loop = asyncio.get_running_loop()
    here, there = socket.socketpair()
    with here, there:
        here.setblocking(False)
        reading = asyncio.ensure_future(
            read_through(here, re.compile(rb"\r\n"), b"be", 50))
        for at in range(0, 12, cuts):
            there.sendall(b"gun\rby\r\n\r\n"[at:at + cuts])
            await asyncio.sleep(0.002)
        assert await reading == b"begun\rby\r\n"
        assert await loop.sock_recv(here, 99) == b"\r\n"
        there.sendall(b"x" * 200)
        assert len(await read_through(here, re.compile(rb"\r\n"), b"", 50)) >= 50
        there.close()
        while await read_through(here, re.compile(rb"\r\n"), b"", 50):
            pass
