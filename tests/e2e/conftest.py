"""The official SDKs' counterpart: a running `relayd demo`, once for all tests of this folder.

RELAYD_E2E=upstream puts the demo provider itself in its place: it tells whose fault a failure is.
Anything else in it is a command that is run in place of `relayd demo --port 0 --json`.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from relayd.demo.app import CREDENTIAL, DemoUpstream

STOP_SECONDS = 15


def http_errors() -> tuple[type[Exception], ...]:
    """What the SDKs' HTTP library raises for a broken connection: httpx, or its successor."""
    found = [importlib.import_module(name) for name in ("httpx", "httpx2")
             if importlib.util.find_spec(name) is not None]
    return tuple(library.TransportError for library in found)


class Target:
    """Where the SDKs are pointed, and the key that they use."""

    def __init__(self, said: dict[str, Any], is_relay: bool) -> None:
        self.openai: str = said["openai"]
        self.anthropic: str = said["anthropic"]
        self.gemini: str = said["gemini"]
        self.key: str = said["key"]
        self.ops: str | None = said.get("ops")
        self.config: str | None = said.get("config")
        self.is_relay = is_relay


class Requests:
    """Counts what an SDK sends, as the hook of its HTTP client."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, request: object) -> None:
        self.count += 1


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A relay with its demo provider, in a process and a directory of its own."""
    if os.environ.get("RELAYD_E2E") == "upstream":
        yield from _upstream_alone()
    else:
        yield from _relay(tmp_path_factory.mktemp("demo"))


@pytest.fixture
def relay(target: Target) -> Target:
    """The same, for what only the relay does."""
    if not target.is_relay:
        pytest.skip("RELAYD_E2E=upstream: this is about the relay")
    return target


@pytest.fixture
def requests() -> Requests:
    """A counter of requests."""
    return Requests()


def _relay(folder: Path) -> Iterator[Target]:
    command = shlex.split(os.environ.get("RELAYD_E2E", "")) or [
        sys.executable, "-m", "relayd", "demo", "--port", "0", "--json"]
    with open(folder / "stderr", "wb") as errors:
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=errors)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, (folder / "stderr").read_text()
        yield Target(json.loads(line), is_relay=True)
    finally:
        process.terminate()
        try:
            code = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        finally:
            process.stdout.close()
        assert code == 0, (folder / "stderr").read_text()


def _upstream_alone() -> Iterator[Target]:
    upstream = DemoUpstream(pace_ms=0.5)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(upstream.start(), loop).result(10)
    origin = f"http://127.0.0.1:{upstream.port}"
    yield Target({"openai": origin + "/v1", "anthropic": origin, "gemini": origin,
                  "key": CREDENTIAL}, is_relay=False)
    asyncio.run_coroutine_threadsafe(upstream.stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
