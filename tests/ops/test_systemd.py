"""What systemd hears, on a real datagram socket."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from relayd.ops.systemd import Notifier


@pytest.fixture(params=["path", "abstract"])
def heard(request: pytest.FixtureRequest, tmp_path: Path) -> socket.socket:
    name = str(tmp_path / "notify") if request.param == "path" else f"\0relayd-{tmp_path.name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(name)
        sock.settimeout(2)
        yield sock


def name_of(sock: socket.socket) -> str:
    name = sock.getsockname()
    return "@" + name[1:].decode() if isinstance(name, bytes) else name


def test_messages(heard: socket.socket) -> None:
    notifier = Notifier(name_of(heard))
    notifier.ready("serving")
    assert heard.recv(1000) == b"READY=1\nSTATUS=serving"
    notifier.reloading()
    first, second = heard.recv(1000).split(b"\n")
    assert first == b"RELOADING=1" and second.startswith(b"MONOTONIC_USEC=")
    notifier.stopping("draining")
    assert heard.recv(1000) == b"STOPPING=1\nSTATUS=draining"
    notifier.status("3 calls")
    assert heard.recv(1000) == b"STATUS=3 calls"


async def test_the_watchdog_is_fed_while_all_is_well(heard: socket.socket) -> None:
    notifier = Notifier(name_of(heard), 0.06)
    well = [True]
    notifier.watch(lambda: well[0])
    await asyncio.sleep(0.1)
    well[0] = False
    heard.setblocking(False)
    fed = 0
    with pytest.raises(BlockingIOError):
        while heard.recv(1000) == b"WATCHDOG=1":
            fed += 1
    assert fed >= 2
    await asyncio.sleep(0.05)
    with pytest.raises(BlockingIOError):
        heard.recv(1000)
    well[0] = True
    notifier.close()
    await asyncio.sleep(0.05)
    with pytest.raises(BlockingIOError):
        heard.recv(1000)


async def test_without_a_watchdog_it_is_not_fed(heard: socket.socket) -> None:
    notifier = Notifier(name_of(heard), 0.0)
    notifier.watch(lambda: True)
    await asyncio.sleep(0.01)
    heard.setblocking(False)
    with pytest.raises(BlockingIOError):
        heard.recv(1000)
    notifier.close()


async def test_without_a_listener_nothing_happens(tmp_path: Path) -> None:
    for notifier in (Notifier(), Notifier(str(tmp_path / "nobody"), 1.0)):
        notifier.ready("")
        notifier.watch(lambda: True)
        notifier.close()
