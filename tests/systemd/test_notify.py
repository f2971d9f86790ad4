"""The daemon and systemd's protocols: ready, watchdog, reload, stopping, sockets handed over."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.fakes.daemon import plain_answer
from tests.fakes.process import START_SECONDS, DaemonProcess
from tests.fakes.rawclient import RawClient, ask, request_bytes
from tests.fakes.rawupstream import Answer, RawUpstream
from tests.fakes.stepped import EVENTS
from tests.http.play import BODY, STREAM, TARGET

PERIOD_SECONDS = 0.6
PATIENCE_SECONDS = 5.0
ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"""
"""What systemd does before it starts a program with a socket (sd_listen_fds(3))."""


class Manager:
    """Systemd's end of the protocol: a datagram socket, and what has been heard there."""

    def __init__(self, path: Path) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(str(path))
        self.sock.setblocking(False)
        self.environment = {"NOTIFY_SOCKET": str(path),
                            "WATCHDOG_USEC": str(int(PERIOD_SECONDS * 1_000_000))}

    async def heard(self) -> dict[str, str]:
        """The next datagram."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PATIENCE_SECONDS):
            raw = await loop.sock_recv(self.sock, 4096)
        return dict(line.split("=", 1) for line in raw.decode().split("\n"))

    async def until(self, name: str) -> dict[str, str]:
        """The next datagram that has this name; those of the watchdog and others are skipped."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while name not in (found := await self.heard()):
                pass
        return found

    def silent(self, seconds: float) -> bool:
        """Whether nothing comes for so long; what has come before is thrown away."""
        try:
            while True:
                self.sock.recv(4096)
        except BlockingIOError:
            pass
        time.sleep(seconds)
        try:
            self.sock.recv(4096)
        except BlockingIOError:
            return True
        return False


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(tmp_path / "notify")
    yield made
    made.sock.close()


@pytest.fixture
async def upstream() -> AsyncIterator[RawUpstream]:
    made = RawUpstream(plain_answer)
    await made.start()
    yield made
    await made.stop()


async def test_ready_reload_and_stopping(
    tmp_path: Path, upstream: RawUpstream, manager: Manager,
) -> None:
    async with DaemonProcess(
            tmp_path / "d", upstream.port, environment=manager.environment) as running:
        assert await manager.heard() == {"READY": "1", "STATUS": "Serving."}
        before = time.monotonic_ns() // 1000
        # also a file that is refused ends the reload
        for text, status in ("", "Serving."), ("nonsense = 1\n", "Serving as before: "):
            with open(tmp_path / "d" / "relayd.toml", "a") as file:
                file.write(text)
            running.signal(signal.SIGHUP)
            reloading = await manager.until("RELOADING")
            assert reloading["RELOADING"] == "1"
            assert before < int(reloading["MONOTONIC_USEC"]) < time.monotonic_ns() // 1000
            assert (await manager.until("READY"))["STATUS"].startswith(status)
        upstream.answers.append(Answer(EVENTS, after="hold"))
        async with RawClient(running.address) as client:
            await client.send(request_bytes(TARGET, running.key, STREAM))
            await client.reader.readuntil(b"\r\n\r\n")
            running.signal(signal.SIGTERM)
            assert (await manager.until("STOPPING"))["STATUS"].startswith("Draining")
            await manager.until("WATCHDOG")  # a drain may take longer than the period
            assert await running.ended() == 0


async def test_the_watchdog_starves_where_the_process_hangs(
    tmp_path: Path, upstream: RawUpstream, manager: Manager,
) -> None:
    async with DaemonProcess(
            tmp_path / "d", upstream.port, environment=manager.environment) as running:
        times = []
        for _ in range(4):
            await manager.until("WATCHDOG")
            times.append(time.monotonic())
        gaps = [b - a for a, b in zip(times, times[1:])]
        assert max(gaps) < PERIOD_SECONDS
        running.signal(signal.SIGSTOP)
        await asyncio.sleep(0.05)
        assert manager.silent(2 * PERIOD_SECONDS)
        running.signal(signal.SIGCONT)
        await manager.until("WATCHDOG")
        # what systemd sends then; no core, and the process is gone
        assert await running.end(signal.SIGABRT) == -signal.SIGABRT


async def test_a_watchdog_that_is_another_s_is_not_fed(
    tmp_path: Path, upstream: RawUpstream, manager: Manager,
) -> None:
    environment = {**manager.environment, "WATCHDOG_PID": "1"}
    async with DaemonProcess(tmp_path / "d", upstream.port, environment=environment):
        assert "READY" in await manager.heard()
        assert manager.silent(PERIOD_SECONDS)


async def test_a_socket_that_is_handed_over_refuses_nobody_between_two_starts(
    tmp_path: Path, upstream: RawUpstream,
) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as held:
        launcher = [sys.executable, "-c", ACTIVATE, str(held.fileno())]
        async with DaemonProcess(
                tmp_path / "d", upstream.port, launcher=launcher, inherit=[held.fileno()],
                listen="systemd") as running:
            address = held.getsockname()
            call = request_bytes(TARGET, running.key, BODY)
            assert (await ask(address, call)).status == 200
            assert await running.end(signal.SIGTERM) == 0
            waiting = asyncio.create_task(ask(address, call, first_seconds=2 * START_SECONDS))
            await asyncio.sleep(0.2)
            assert not waiting.done()
            await running.start()
            assert (await waiting).status == 200
            assert await running.end(signal.SIGTERM) == 0


async def test_a_socket_for_another_process_is_not_taken(
    tmp_path: Path, upstream: RawUpstream,
) -> None:
    environment = {"LISTEN_FDS": "1", "LISTEN_PID": "1"}
    running = DaemonProcess(tmp_path / "d", upstream.port, environment=environment,
                            listen="systemd")
    with pytest.raises(AssertionError, match="systemd handed over no socket"):
        async with running:
            pass
    assert await running.ended() == 1
