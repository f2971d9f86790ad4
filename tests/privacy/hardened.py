"""A daemon with TLS on both sides, before the demo provider, and audit-canary run on it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from aiohttp import web

from relayd.demo.app import CREDENTIAL, make_app
from tests.fakes.daemon import APIS
from tests.fakes.process import DaemonProcess, free_port
from tests.http.test_tls import Certified

CONFIG = """
[server]
listen = ["127.0.0.1:{port}"]
tls = {{ certificate = "{cert}", key = "{key}" }}
max_body_bytes = 3000000
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
[privacy]
wipe_memory = {wipe}
[routes."demo-*"]
deployments = [{deployments}]
retries = 0
"""
PROVIDER = """
[providers.{api}]
api = "{api}"
base_url = "https://127.0.0.1:{port}{path}"
ca_file = "{ca}"
credential = {{ env = "UPSTREAM_CREDENTIAL" }}
"""


class Hardened(DaemonProcess):
    """`wipe`: whether it overwrites freed memory."""

    def __init__(self, directory: Path, upstream_port: int, tls: Certified, wipe: bool) -> None:
        super().__init__(directory, upstream_port,
                         environment={"UPSTREAM_CREDENTIAL": CREDENTIAL})
        self._tls = tls
        self._wipe = wipe

    def _config(self) -> str:
        text = CONFIG.format(
            port=free_port(), ops=self.ops_address[1], wipe=str(self._wipe).lower(),
            cert=self._tls.files.certificate, key=self._tls.files.key,
            deployments=", ".join(f'{{ provider = "{api}" }}' for api in APIS))
        return text + "".join(
            PROVIDER.format(api=api, port=self._upstream_port, path=path, ca=self._tls.ca_file)
            for api, path in APIS.items())

    async def _started(self) -> None:
        """Freed memory that is overwritten makes its start twice as long."""
        with suppress(TimeoutError):
            return await super()._started()
        await super()._started()

    async def audit(self, *words: str) -> tuple[int, dict[str, Any], str]:
        """Runs audit-canary: its exit code, its document, what it said else."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "relayd", "audit-canary", "-c",
            str(self.directory / "relayd.toml"), "--key", self.key, "--logs",
            str(self.directory), "--json", *words,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
        out, said = await process.communicate()
        assert process.returncode is not None
        return process.returncode, json.loads(out or b"{}"), said.decode()


@asynccontextmanager
async def hardened(directory: Path, *, wipe: bool) -> AsyncIterator[Hardened]:
    """The daemon, and its provider in this process."""
    directory.mkdir(parents=True, exist_ok=True)
    tls = Certified(directory)
    Path(tls.files.key).chmod(0o600)
    runner = web.AppRunner(make_app(0), access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls.server).start()
        daemon = Hardened(directory, runner.addresses[0][1], tls, wipe)
        async with daemon:
            yield daemon
    finally:
        await runner.cleanup()
