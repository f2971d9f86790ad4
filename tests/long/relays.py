"""Daemons under test: started, killed, stopped and started again on one store."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relayd.store.db import open_database
from tests.fakes.daemon import CREDENTIAL, issue
from tests.fakes.process import free_port

READY_SECONDS = 60.0
ANSWER_SECONDS = 10.0
STOP_SECONDS = 60.0
LONG = os.environ.get("RELAYD_LONG", "") == "1"
"""Whether all rounds are wished for."""
ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.executable, [sys.executable, "-m", "relayd", *sys.argv[2:]])
"""
"""Hands a listening socket over as systemd does (sd_listen_fds(3))."""
CONFIG = """
[server]
listen = ["{listen}"]
drain_seconds = {drain_seconds}
leave_seconds = {leave_seconds}
{server}
[ops]
listen = "127.0.0.1:{ops}"
[store]
path = "{store}"
{more_store}
[metering]
flush_seconds = {flush_seconds}
[providers.openai]
api = "openai"
base_url = "http://127.0.0.1:{port}/v1"
credential = {{ env = "UPSTREAM_CREDENTIAL" }}
[routes."load-*"]
deployments = [{{ provider = "openai" }}]
"""


@dataclass(frozen=True, slots=True)
class Setting:
    """How a daemon is configured. `server` and `more_store` are lines of those tables; `prefix` is
    put before its command, `inherit` is a listening socket that it is handed."""

    upstream_port: int
    store: Path
    listen: str = ""
    drain_seconds: float = 5.0
    leave_seconds: float = 0.5
    flush_seconds: float = 1.0
    server: str = ""
    more_store: str = ""
    prefix: tuple[str, ...] = ()
    inherit: int = -1


class Relay:
    """One daemon: `await start()`, then `kill()` or `stop()`, again and again.

    `address` stays the same; `ready_seconds` are the times from exec to readiness.
    """

    def __init__(self, directory: Path, setting: Setting) -> None:
        self._directory = directory
        self._setting = setting
        self._process: asyncio.subprocess.Process | None = None
        self._ops = free_port()
        self.address = ("127.0.0.1", free_port())
        self.ready_seconds: list[float] = []
        self.recovered: list[dict[str, Any]] = []

    @property
    def store(self) -> Path:
        """The directory of its store."""
        return self._setting.store

    @property
    def config(self) -> Path:
        """Its configuration file."""
        return self._directory / "relayd.toml"

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has been started and has not ended."""
        return self._process is not None and self._process.returncode is None

    async def start(self, wait: bool = True) -> None:
        """Starts it; waits until it says that it is ready."""
        self._directory.mkdir(parents=True, exist_ok=True)
        setting = self._setting
        host, port = self.address
        self.config.write_text(CONFIG.format(
            listen=setting.listen or f"{host}:{port}", ops=self._ops, port=setting.upstream_port,
            store=setting.store, drain_seconds=setting.drain_seconds, server=setting.server,
            leave_seconds=setting.leave_seconds, more_store=setting.more_store,
            flush_seconds=setting.flush_seconds))
        began = time.monotonic()
        with open(self._directory / "log", "wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command(), stdout=log, stderr=log,
                env={**os.environ, "UPSTREAM_CREDENTIAL": CREDENTIAL,
                     "PYTHONFAULTHANDLER": "1", "PYTHONASYNCIODEBUG": ""},
                pass_fds=(setting.inherit,) if setting.inherit >= 0 else ())
        if wait:
            await self.ready()
            self.ready_seconds.append(time.monotonic() - began)
            self.recovered += self.events("recovered")

    def _command(self) -> list[str]:
        setting = self._setting
        serve = ["serve", "-c", str(self.config)]
        if setting.inherit >= 0:
            return [sys.executable, "-c", ACTIVATE, str(setting.inherit), *serve]
        return [*setting.prefix, sys.executable, "-m", "relayd", *serve]

    async def ready(self) -> None:
        """Until /readyz says so, and it is this one that does: while it was down, its port may
        have gone to another's relay, or to one that never answers."""
        try:
            async with asyncio.timeout(READY_SECONDS):
                while await self._answer() != 200 or not self.events("started"):
                    assert self.running, self.log()
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"not ready in {READY_SECONDS} s: {self.log()}") from None

    async def _answer(self) -> int:
        """As readiness; 0 where nothing comes for a while."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self.readiness()
        except TimeoutError:
            return 0

    async def readiness(self) -> int:
        """The status of /readyz; 0 where nobody answers."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._ops)
        except OSError:
            return 0
        try:
            writer.write(b"GET /readyz HTTP/1.1\r\nHost: ops\r\nConnection: close\r\n\r\n")
            head = await reader.read(4096)
        except OSError:
            return 0
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        return int(head.split(b" ", 2)[1]) if head else 0

    def log(self) -> str:
        """All that it wrote since it was started."""
        return (self._directory / "log").read_text("utf-8", "replace")

    def events(self, name: str) -> list[dict[str, Any]]:
        """What it logged under this name since it was started."""
        lines = (line for line in self.log().splitlines() if f'"event":"{name}"' in line)
        return [json.loads(line) for line in lines]

    def signal(self, number: signal.Signals) -> None:
        """Sends it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    async def ended(self) -> int:
        """Its exit code, once it has one."""
        assert self._process is not None
        return await asyncio.wait_for(self._process.wait(), STOP_SECONDS)

    async def kill(self) -> None:
        """kill -9, where it runs."""
        if self.running:
            self.signal(signal.SIGKILL)
            await self.ended()

    async def stop(self) -> None:
        """SIGTERM; it must end well."""
        self.signal(signal.SIGTERM)
        code = await self.ended()
        assert code == 0, f"exit {code}: {self.log()}"

    async def verify(self) -> None:
        """`relayd ledger verify` on its store must say OK."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "relayd", "ledger", "verify", "-c", str(self.config),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
        said, _ = await asyncio.wait_for(process.communicate(), STOP_SECONDS)
        assert process.returncode == 0, said.decode()


async def new_store(directory: Path) -> str:
    """Makes a store with one account, as relayd makes it: each file synced. Its key."""
    await (await open_database(directory)).close()
    return await issue(directory)


def spread(values: list[float]) -> str:
    """Least, median and most."""
    ordered = sorted(values)
    return f"{ordered[0]:.2f} / {ordered[len(ordered) // 2]:.2f} / {ordered[-1]:.2f}"
