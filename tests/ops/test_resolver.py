"""Look-ups on threads: what they find, and that none waits for another."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from relayd.ops.resolver import connect, look_up

HANGING = """
import asyncio, socket, sys, threading
from relayd.ops.resolver import look_up
socket.getaddrinfo = lambda *_, **__: threading.Event().wait()
async def main():
    await asyncio.wait_for(look_up("silent.test", 1), 0.1)
try:
    asyncio.run(main())
except TimeoutError:
    sys.exit(7)
"""


async def test_an_address_and_a_name() -> None:
    assert [info[4] for info in await look_up("127.0.0.1", 80)] == [("127.0.0.1", 80)]
    assert ("127.0.0.1", 81) in [info[4] for info in await look_up("localhost", 81)]


@pytest.mark.parametrize("host", ["a" * 64 + ".test", "x..test"])
async def test_what_is_no_name(host: str) -> None:
    with pytest.raises(socket.gaierror):
        await look_up(host, 80)


async def test_names_that_hang_keep_no_other_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()

    def resolver(host: str, port: int, **_: Any) -> list[Any]:
        if host.startswith("silent"):
            gate.wait(5)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    silent = [asyncio.ensure_future(look_up(f"silent{n}", 1)) for n in range(8)]
    await asyncio.sleep(0)
    began = time.monotonic()
    assert [info[4] for info in await look_up("name.test", 5)] == [("192.0.2.1", 5)]
    assert time.monotonic() - began < 2
    gate.set()
    for error in await asyncio.gather(*silent, return_exceptions=True):
        assert isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN


def test_the_process_ends_without_a_name_that_hangs() -> None:
    ended = subprocess.run([sys.executable, "-c", HANGING], timeout=20, capture_output=True)
    assert ended.returncode == 7, ended.stderr.decode()


async def test_the_first_address_that_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))
                 for host in ("127.0.0.2", "127.0.0.1")]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        with await connect("name.test", port) as sock:
            assert sock.getpeername() == ("127.0.0.1", port)
        found.pop()
        with pytest.raises(ConnectionRefusedError):
            await connect("name.test", port)
        found.clear()
        with pytest.raises(OSError, match="no address"):
            await connect("name.test", port)
