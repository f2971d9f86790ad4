"""Resets that come together with bytes, over TLS: they are noticed, though the loop is told once.

The daemon is stopped (SIGSTOP) while bytes and the reset behind them arrive.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import ssl
import struct
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from relayd.ops.scrape import fetch, samples
from tests.fakes.rawclient import RawClient, request_bytes
from tests.http.test_tls import NAME, Certified
from tests.privacy.hardened import Hardened

RESET = struct.pack("ii", 1, 0)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
DATA = b'data: {"choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n'
EVENT = b"%x\r\n%b\r\n" % (len(DATA), DATA)
CHAT = b'{"model":"demo-x","stream":true,"messages":[{"role":"user","content":"hi"}]}'
SOON_SECONDS = 4.0


class Stopped:
    """While it is open the process does not run."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def __enter__(self) -> None:
        os.kill(self._pid, signal.SIGSTOP)

    def __exit__(self, *_: object) -> None:
        time.sleep(0.1)
        os.kill(self._pid, signal.SIGCONT)


def reset(sock: ssl.SSLSocket) -> None:
    """Ends the connection as a process does that is killed: no TLS, no TCP farewell."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    os.close(sock.detach())


@asynccontextmanager
async def daemon(
    directory: Path, talk: Callable[[ssl.SSLSocket], None], shakes: bool = True
) -> AsyncIterator[tuple[Hardened, Certified]]:
    """A daemon whose provider does `talk` on each connection, on a thread; not `shakes`: it makes
    the handshake too."""
    directory.mkdir()
    tls = Certified(directory)
    Path(tls.files.key).chmod(0o600)
    server = socket.create_server((NAME, 0))

    def accept() -> None:
        while True:
            try:
                sock = tls.server.wrap_socket(
                    server.accept()[0], server_side=True, do_handshake_on_connect=shakes)
            except OSError:
                return
            threading.Thread(target=talk, args=(sock,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        process = Hardened(directory, server.getsockname()[1], tls, False)
        async with process:
            yield process, tls
    finally:
        server.close()


async def test_a_provider_that_resets_behind_an_event(tmp_path: Path) -> None:
    pids: list[int] = []

    def talk(sock: ssl.SSLSocket) -> None:
        if sock.recv(65536):
            sock.sendall(HEAD + EVENT)
            time.sleep(0.3)
            with Stopped(pids[0]):
                sock.sendall(EVENT)
                reset(sock)

    async with daemon(tmp_path / "daemon", talk) as (process, tls):
        pids.append(process.pid)
        raw = request_bytes("/v1/chat/completions", process.key, CHAT)
        for _ in range(2):
            async with RawClient(process.address, tls=tls.client, server_name=NAME) as client:
                async with asyncio.timeout(SOON_SECONDS):
                    reply = await client.ask(raw)
            assert reply.status == 200 and reply.body.count(b'"hi"') == 2
            assert b"upstream_truncated" in reply.body


async def test_a_provider_that_resets_behind_the_handshake(tmp_path: Path) -> None:
    pids: list[int] = []

    def talk(sock: ssl.SSLSocket) -> None:
        sock.setblocking(False)
        select.select([sock], [], [])  # the client's hello
        with suppress(ssl.SSLWantReadError):
            sock.do_handshake()
        select.select([sock], [], [])  # its last word
        time.sleep(0.1)
        with Stopped(pids[0]):
            sock.do_handshake()  # sends session tickets (TLS 1.3), which are bytes
            reset(sock)

    async with daemon(tmp_path / "daemon", talk, shakes=False) as (process, tls):
        pids.append(process.pid)
        raw = request_bytes("/v1/chat/completions", process.key, CHAT)
        async with RawClient(process.address, tls=tls.client, server_name=NAME) as client:
            async with asyncio.timeout(SOON_SECONDS):
                assert (await client.ask(raw)).status == 502


async def test_a_client_that_resets_behind_half_a_body(tmp_path: Path) -> None:
    async with daemon(tmp_path / "daemon", lambda sock: None) as (process, tls):
        raw = request_bytes("/v1/chat/completions", process.key, CHAT + b" " * 20_000)
        plain = socket.create_connection(process.address)
        client = tls.client.wrap_socket(plain, server_hostname=NAME)
        client.sendall(raw[:2000])
        async with asyncio.timeout(SOON_SECONDS):
            while await in_flight(process) != 1:
                await asyncio.sleep(0.05)
        with Stopped(process.pid):
            client.sendall(raw[2000:4000])
            reset(client)
        async with asyncio.timeout(SOON_SECONDS):
            while await in_flight(process):
                await asyncio.sleep(0.05)


async def in_flight(process: Hardened) -> float:
    _, page = await fetch(f"127.0.0.1:{process.ops_address[1]}", "/metrics")
    return next(sample.value for sample in samples(page)
                if sample.name == "relayd_calls_in_flight")
