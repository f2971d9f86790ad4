"""The daemon as its users run it: `relayd serve -c FILE`, a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.fakes.daemon import APIS, CREDENTIAL, issue

START_SECONDS = 60.0
STOP_SECONDS = 60.0
"""A machine that does ten things at once does not reach them."""
CALM_SECONDS = 0.3
CONFIG = """
[server]
listen = ["{listen}"]
max_body_bytes = 3000000
header_seconds = 1
body_seconds = 2
drain_seconds = 1
[ops]
listen = "127.0.0.1:{ops}"
[log]
level = "debug"
access = "all"
[store]
path = "store"
[metering]
flush_seconds = 0.1
[routes."test-model"]
deployments = [{deployments}]
"""
PROVIDER = """
[providers.{api}]
api = "{api}"
base_url = "http://127.0.0.1:{port}{path}"
credential = {{ env = "UPSTREAM_CREDENTIAL" }}
timeouts = {{ connect = 5, first_byte = 5, idle = 5 }}
"""


def free_port() -> int:
    """A port of loopback that nobody listens on now, and that no connection is given: those that
    the system gives may go to a test beside this one before they are listened on."""
    while True:
        number = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as sock, suppress(OSError):
            sock.bind(("127.0.0.1", number))
            return number


class DaemonProcess:
    """`async with DaemonProcess(directory, upstream_port) as daemon`.

    In `directory` are its configuration, `store/`, `stderr`, `tmp/` (its TMPDIR) and `cwd/`.
    `launcher` goes before its command, `environment` is added to ours, `inherit` are descriptors
    that it keeps, `listen` is where it listens.
    """

    def __init__(
        self, directory: Path, upstream_port: int, *, launcher: Sequence[str] = (),
        environment: Mapping[str, str] | None = None, inherit: Sequence[int] = (),
        listen: str = "127.0.0.1:0",
    ) -> None:
        self.directory = directory
        self._launcher = launcher
        self._environment = environment or {}
        self._inherit = inherit
        self._listen = listen
        self.key = ""
        self.address = ("127.0.0.1", 0)
        self.ops_address = ("127.0.0.1", free_port())
        self._upstream_port = upstream_port
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> DaemonProcess:
        for name in ("tmp", "cwd"):
            (self.directory / name).mkdir(parents=True)
        self.key = await issue(self.store)
        (self.directory / "relayd.toml").write_text(self._config())
        await self.start()
        return self

    @property
    def store(self) -> Path:
        """The directory of its store, which `records` and commands may read at any time."""
        return self.directory / "store"

    async def start(self) -> None:
        """Starts the process and waits until it serves; again, when it has ended."""
        environment = {**os.environ, "UPSTREAM_CREDENTIAL": CREDENTIAL,
                       "TMPDIR": str(self.directory / "tmp"), "PYTHONFAULTHANDLER": "1",
                       **self._environment}
        with open(self.directory / "stderr", "wb") as stderr:
            self._process = await asyncio.create_subprocess_exec(
                *self._launcher, sys.executable, "-m", "relayd", "serve", "-c",
                str(self.directory / "relayd.toml"), stderr=stderr, stdout=stderr,
                env=environment, cwd=self.directory / "cwd", pass_fds=self._inherit)
        try:
            await self._started()
        except BaseException:
            await self._kill()  # nobody else would: there is no __aexit__ without __aenter__
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._kill()

    async def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            await self.end(signal.SIGKILL)

    def _config(self) -> str:
        deployments = ", ".join(f'{{ provider = "{api}" }}' for api in APIS)
        text = CONFIG.format(ops=self.ops_address[1], deployments=deployments,
                             listen=self._listen)
        return text + "".join(PROVIDER.format(api=api, port=self._upstream_port, path=path)
                              for api, path in APIS.items())

    async def _started(self) -> None:
        async with asyncio.timeout(START_SECONDS):
            while (event := self.event("started")) is None:
                assert self._process is not None and self._process.returncode is None, self.log()
                await asyncio.sleep(0.05)
        self.address = ("127.0.0.1", event["port"])

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self._process is not None
        return self._process.pid

    async def calm(self) -> None:
        """Returns once it has done what it does after its start (it reads tokenizers)."""
        async with asyncio.timeout(START_SECONDS):
            while True:
                before = self.cpu_seconds()
                await asyncio.sleep(CALM_SECONDS)
                if self.cpu_seconds() - before < CALM_SECONDS / 10:
                    return

    def cpu_seconds(self) -> float:
        """The time on a CPU that it has had."""
        stat = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")

    def event(self, name: str) -> dict[str, Any] | None:
        """The first event of this name that it has logged since it was started."""
        for line in self.log().splitlines():
            if f'"{name}"' in line:
                event: dict[str, Any] = json.loads(line)
                return event
        return None

    async def logged(self, name: str) -> dict[str, Any]:
        """The same, once it is there."""
        async with asyncio.timeout(START_SECONDS):
            while (event := self.event(name)) is None:
                await asyncio.sleep(0.01)
        return event

    def log(self) -> str:
        """All that it wrote to stdout and stderr."""
        return (self.directory / "stderr").read_text("utf-8", "replace")

    def signal(self, number: signal.Signals) -> None:
        """Sends the signal."""
        assert self._process is not None
        self._process.send_signal(number)

    async def end(self, number: signal.Signals) -> int:
        """Sends the signal and waits; the exit code, negative where a signal ended it."""
        self.signal(number)
        return await self.ended()

    async def ended(self) -> int:
        """Waits for its end; the exit code."""
        assert self._process is not None
        return await asyncio.wait_for(self._process.wait(), STOP_SECONDS)
