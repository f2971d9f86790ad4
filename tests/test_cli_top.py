"""`relayd top` on a real daemon: into a pipe, once, as JSON, and on a terminal."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from relayd.cli_top import render
from relayd.ops.top import ProviderLine, SlowLine, Top
from tests.fakes.daemon import plain_answer
from tests.fakes.process import DaemonProcess
from tests.fakes.rawclient import ask, request_bytes
from tests.fakes.rawupstream import RawUpstream
from tests.http.play import BODY, TARGET


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[DaemonProcess]:
    upstream = RawUpstream(plain_answer)
    await upstream.start()
    try:
        async with DaemonProcess(folder, upstream.port) as running:
            yield running
    finally:
        await upstream.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def daemon(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DaemonProcess]:
    """One for all: it is looked at, and not changed."""
    async with serving(tmp_path_factory.mktemp("top") / "daemon") as running:
        yield running


async def started(daemon: DaemonProcess, *words: str,
                  stdout: int = asyncio.subprocess.PIPE) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "relayd", "top", "--every", "0.5", *words, "-c",
        str(daemon.directory / "relayd.toml"), stdout=stdout, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "COLUMNS": "100", "LINES": "30"})


@pytest.mark.asyncio(loop_scope="module")
async def test_once_sees_the_calls_of_its_interval(daemon: DaemonProcess) -> None:
    raw = request_bytes(TARGET, daemon.key, BODY)
    process = await started(daemon, "--json")
    running = asyncio.ensure_future(process.communicate())
    calls = 0
    while not running.done():
        assert (await ask(daemon.address, raw)).status == 200
        calls += 1
    out, err = await running
    view = json.loads(out)
    assert process.returncode == 0 and err == b""
    assert view["ready"] and 0 < view["calls_per_second"] * view["seconds"] <= calls
    assert view["output_tokens_per_second"] > 0 and view["memory_bytes"] > 1_000_000
    assert "openai" in [line["name"] for line in view["providers"] if line["up"]]
    assert view["endpoints"][0]["what"] == "/v1/chat/completions"
    process = await started(daemon, "--once")
    out, err = await process.communicate()
    assert process.returncode == 0 and b"\x1b" not in out
    assert out.startswith(b"relayd: ready ") and b"PROVIDER" in out


@pytest.mark.asyncio(loop_scope="module")
async def test_a_pipe_gets_plain_pictures_until_it_is_ended(daemon: DaemonProcess) -> None:
    process = await started(daemon)
    assert process.stdout is not None
    for _ in range(2):
        text = await asyncio.wait_for(process.stdout.readuntil(b"relayd: ready"), 20)
        assert b"\x1b" not in text
    process.send_signal(signal.SIGINT)
    await process.communicate()
    assert process.returncode == 0


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("number", "code"), [
    (signal.SIGINT, 0), (signal.SIGTERM, 143), (signal.SIGHUP, 129),
])
async def test_a_terminal_is_left_as_it_was(
    daemon: DaemonProcess, number: signal.Signals, code: int,
) -> None:
    ours, theirs = pty.openpty()
    try:
        process = await started(daemon, stdout=theirs)
        os.close(theirs)
        loop, seen = asyncio.get_running_loop(), b""
        while seen.count(b"\x1b[H") < 2:
            seen += await loop.run_in_executor(None, os.read, ours, 65536)
        process.send_signal(number)
        await asyncio.wait_for(process.wait(), 20)
        seen += os.read(ours, 65536)
        assert process.returncode == code
        assert seen.startswith(b"\x1b[?1049h") and seen.endswith(b"\x1b[?1049l")
        assert process.stderr is not None and await process.stderr.read() == b""
    finally:
        os.close(ours)


async def test_no_daemon_and_bad_words(tmp_path: Path) -> None:
    async with serving(tmp_path / "daemon") as daemon:
        assert await daemon.end(signal.SIGTERM) == 0
    process = await started(daemon, "--once")
    _, err = await process.communicate()
    assert process.returncode == 1 and b"Is it running?" in err
    process = await started(daemon, "--every", "0")
    assert (await process.communicate())[0] == b"" and process.returncode == 2


def test_what_is_ill_stands_out() -> None:
    def provider(name: str, up: bool, ill: int) -> ProviderLine:
        return ProviderLine(name, up, 1.0, 0.5, 20.0, 12_345.0, 3, ill)

    view = Top(1.0, False, 1, 0, 0, 10, 20, 1, 2, 3.0, 1 << 20, 0.5, 0, 0,
               [provider("a", True, 0), provider("b", False, 1), provider("c", True, 2)], [],
               [SlowLine("gpt-4o", "a", 1.0, 5.0, 50.0)])
    text = "\n".join(render(view))
    assert "NOT READY" in text and "DOWN" in text and "2 ill" in text and "12.3 s" in text
    assert re.search(r"SLOWEST MODELS.*\ngpt-4o +a +1.0 +5 ms +50 ms", text)
    assert "SLOWEST ENDPOINTS" not in text
