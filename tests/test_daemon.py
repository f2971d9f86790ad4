"""The daemon as a process: signals, drain, exit codes, and what is stored then."""

from __future__ import annotations

import asyncio
import io
import json
import os
import resource
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from relayd import daemon
from relayd.app import App
from relayd.core.provider import Address
from relayd.ops.configfile import Reading
from relayd.ops.logging import Logger
from relayd.ops.systemd import Notifier
from relayd.store.directory import StoreError
from tests.fakes.daemon import config, plain_answer, records
from tests.fakes.process import DaemonProcess
from tests.fakes.rawclient import RawClient, ask, request_bytes
from tests.fakes.rawupstream import Answer, RawUpstream
from tests.fakes.stepped import EVENTS, chunk
from tests.http.play import BODY, STREAM, TARGET
from tests.http.test_tls import Certified

EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"one"}}]}\n\n'
SLOW = EVENTS + chunk(EVENT) * 100 + chunk(b"data: [DONE]\n\n") + chunk(b"")
"""Paced to take about half a second."""
HANDLED = (*daemon.STOP_SIGNALS, *daemon.IGNORED_SIGNALS, signal.SIGHUP)


@pytest.fixture
async def upstream() -> object:
    made = RawUpstream(plain_answer)
    await made.start()
    yield made
    await made.stop()


async def test_term_drains_and_hup_drops_no_stream(tmp_path: Path, upstream: RawUpstream) -> None:
    upstream.answers.append(Answer(SLOW, pace=f"segments-{len(SLOW) // 150}"))
    async with DaemonProcess(tmp_path / "d", upstream.port) as running:
        async with RawClient(running.address) as client:
            await client.send(request_bytes(TARGET, running.key, STREAM))
            await client.reader.readuntil(b"\r\n\r\n")
            assert running._process is not None
            running._process.send_signal(signal.SIGHUP)
            await asyncio.sleep(0.05)
            assert (await ask(running.address, request_bytes(
                TARGET, running.key, BODY))).status == 200
            ending = asyncio.gather(running.end(signal.SIGTERM))
            await asyncio.sleep(0.1)
            with pytest.raises(OSError):
                await asyncio.open_connection(*running.address)
            assert (await client.reader.read()).endswith(b"[DONE]\n\n\r\n0\r\n\r\n")
            assert await ending == [0]
        assert '"event":"reloaded"' in running.log()
        stored = await records(tmp_path / "d" / "store")
        assert [r.outcome for r in stored] == ["completed"] * 2


async def test_hup_takes_a_new_configuration_and_refuses_a_wrong_one(
    tmp_path: Path, upstream: RawUpstream,
) -> None:
    other = BODY.replace(b"test-model", b"new-model")
    async with DaemonProcess(tmp_path / "d", upstream.port) as running:
        file = tmp_path / "d" / "relayd.toml"
        text = file.read_text()

        async def hup(content: str, event: str) -> None:
            file.write_text(content)
            seen = running.log().count(event)
            assert running._process is not None
            running._process.send_signal(signal.SIGHUP)
            async with asyncio.timeout(5):
                while running.log().count(event) == seen:
                    await asyncio.sleep(0.01)

        async def status(body: bytes) -> int:
            return (await ask(running.address, request_bytes(TARGET, running.key, body))).status

        assert (await status(BODY), await status(other)) == (200, 404)
        await hup(text + "nonsense = 1\n", '"reload_refused"')
        assert (await status(BODY), await status(other)) == (200, 404)
        await hup("this is not TOML", '"reload_refused"')
        text = text.replace("test-model", "new-model").replace('"debug"', '"warning"')
        await hup(text.replace('path = "store"', 'path = "elsewhere"'), '"reload_needs_restart"')
        assert (await status(BODY), await status(other)) == (404, 200)
        assert not (tmp_path / "d" / "elsewhere").exists()
        assert await running.end(signal.SIGTERM) == 0
        assert '"stopped"' not in running.log()  # an event of level info


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler for a signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    [mask] = [line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")]
    return bool(int(mask, 16) >> number - 1 & 1)


async def test_a_hup_while_it_starts_is_done_behind_the_start(
    tmp_path: Path, upstream: RawUpstream,
) -> None:
    """Who has just written the file need not know how far a daemon is that has read it before."""
    async with DaemonProcess(tmp_path / "d", upstream.port) as running:
        assert await running.end(signal.SIGTERM) == 0
        starting = asyncio.create_task(running.start())
        before = running._process
        while running._process is before or not catches(running.pid, signal.SIGHUP):
            await asyncio.sleep(0.005)
        assert running.event("started") is None
        file = tmp_path / "d" / "relayd.toml"
        file.write_text(file.read_text().replace("test-model", "new-model"))
        running.signal(signal.SIGHUP)
        await starting
        async with asyncio.timeout(5):
            while running.event("reloaded") is None:
                await asyncio.sleep(0.01)
        other = BODY.replace(b"test-model", b"new-model")
        raw = request_bytes(TARGET, running.key, other)
        assert (await ask(running.address, raw)).status == 200


BEFORE = """
import os, signal, sys
from relayd import cli, cli_serve
where, name = {where}, "{name}"
doing = getattr(where, name)
def do(*arguments):
    setattr(where, name, doing)
    os.kill(os.getpid(), signal.{signal})
    return doing(*arguments)
setattr(where, name, do)
sys.exit(cli.main(sys.argv[4:]))
"""
"""A daemon that gets a signal as it loads its modules, or reads its file."""


@pytest.mark.parametrize(("where", "name", "reloads"), [
    ("cli", "commands", 0), ("cli_serve.configfile", "examine", 1)])
async def test_a_hup_before_there_is_a_loop_ends_nothing(
    where: str, name: str, reloads: int, tmp_path: Path,
) -> None:
    """What has been read since is what it asks for; else it is done once the daemon runs."""
    code = BEFORE.format(where=where, name=name, signal="SIGHUP")
    async with DaemonProcess(tmp_path / "d", 1, launcher=(sys.executable, "-c", code)) as running:
        if reloads:
            async with asyncio.timeout(5):
                while running.event("reloaded") is None:
                    await asyncio.sleep(0.01)
        assert await running.end(signal.SIGTERM) == 0
        assert running.log().count('"reloaded"') == reloads


async def test_a_term_before_there_is_a_loop_ends_it_well(tmp_path: Path) -> None:
    for where, name in (("cli", "commands"), ("cli_serve.configfile", "examine")):
        code = BEFORE.format(where=where, name=name, signal="SIGTERM")
        done = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, sys.executable, "-m", "relayd", "serve", "-c",
            str(tmp_path / "none.toml"), stderr=asyncio.subprocess.PIPE)
        assert ((await done.communicate())[1], done.returncode) == (b"", 0)


async def test_a_hup_in_a_drain_changes_nothing(tmp_path: Path, upstream: RawUpstream) -> None:
    upstream.answers.append(Answer(SLOW, pace=f"segments-{len(SLOW) // 150}"))
    async with DaemonProcess(tmp_path / "d", upstream.port) as running:
        async with RawClient(running.address) as client:
            await client.send(request_bytes(TARGET, running.key, STREAM))
            await client.reader.readuntil(b"\r\n\r\n")
            running.signal(signal.SIGTERM)
            await asyncio.sleep(0.1)
            running.signal(signal.SIGHUP)
            assert (await client.reader.read()).endswith(b"[DONE]\n\n\r\n0\r\n\r\n")
        assert await running.ended() == 0
        assert running.event("reload_not_possible") and not running.event("reloaded")


async def test_a_file_that_takes_long_to_read_holds_up_no_call(tmp_path: Path) -> None:
    """And of signals that come while it is read there is one more reading, however many came."""
    settings = config(tmp_path / "store", 1)
    readings: list[str] = []

    def reread() -> Reading:
        readings.append(threading.current_thread().name)
        time.sleep(0.3)
        return Reading(settings, [], [])

    app = App(settings, logger=Logger("info", io.StringIO()))
    await app.start()
    try:
        reloads = daemon.Reloads(reread, app.logger, Notifier())
        reloads.ask()
        assert readings == []  # there is nothing yet that could take it
        reloads.begin(app)
        turns = 0
        while reloads._reading:
            await asyncio.sleep(0.01)
            turns += 1
            if turns == 3:
                for _ in range(5):
                    reloads.ask()
        assert len(readings) == 2 and threading.main_thread().name not in readings
        assert turns > 5
        await reloads.end()
        reloads.ask()
        await asyncio.sleep(0.02)
        assert len(readings) == 2
    finally:
        await app.stop()


async def test_signals_that_other_daemons_know_end_no_call(
    tmp_path: Path, upstream: RawUpstream,
) -> None:
    upstream.answers.append(Answer(SLOW, pace=f"segments-{len(SLOW) // 150}"))
    async with DaemonProcess(tmp_path / "d", upstream.port) as running:
        async with RawClient(running.address) as client:
            await client.send(request_bytes(TARGET, running.key, STREAM))
            await client.reader.readuntil(b"\r\n\r\n")
            for number in daemon.IGNORED_SIGNALS:
                running.signal(number)
            body = await client.reader.readuntil(b"0\r\n\r\n")
            assert body.endswith(b"[DONE]\n\n\r\n0\r\n\r\n")
        assert await running.end(signal.SIGTERM) == 0
        told = [json.loads(line)["signal"] for line in running.log().splitlines()
                if '"signal_ignored"' in line]
        assert sorted(told) == ["sigusr1", "sigusr2"]


class Patient(DaemonProcess):
    """A daemon whose drain and whose provider's silence would outlast the test."""

    def _config(self) -> str:
        text = super()._config().replace("drain_seconds = 1\n", "drain_seconds = 60\n")
        return text.replace("idle = 5 }", "idle = 60 }")


async def test_a_second_term_ends_at_once(tmp_path: Path, upstream: RawUpstream) -> None:
    upstream.answers.append(Answer(EVENTS + chunk(EVENT), after="hold"))
    async with Patient(tmp_path / "d", upstream.port) as running:
        async with RawClient(running.address) as client:
            await client.send(request_bytes(TARGET, running.key, STREAM))
            await client.reader.readuntil(b"\r\n\r\n")
            assert running._process is not None
            running._process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.1)
            async with asyncio.timeout(15):  # the drain alone would take a minute
                assert await running.end(signal.SIGINT) == 0
    [record] = await records(tmp_path / "d" / "store")
    assert record.outcome == "interrupted"


class Quiet(DaemonProcess):
    """One whose log stays shorter than its journal."""

    def _config(self) -> str:
        return super()._config().replace('"debug"', '"info"').replace('"all"', '"off"')


async def test_a_disk_that_takes_no_records_at_the_end_is_no_success(
    tmp_path: Path, upstream: RawUpstream,
) -> None:
    """Neither the store nor the journal: the last line says it, and systemd shows a failure."""
    launcher = ("prlimit", f"--fsize={32 * 1024 * 1024}")  # no room to map a journal in
    async with Quiet(tmp_path / "d", upstream.port, launcher=launcher) as running:
        raw = request_bytes(TARGET, running.key, BODY)
        for _ in range(30):
            assert (await ask(running.address, raw)).status == 200
        upstream.answers.append(Answer(EVENTS + chunk(EVENT), after="hold"))
        async with RawClient(running.address) as client:
            await client.send(request_bytes(TARGET, running.key, STREAM))
            await client.reader.readuntil(b"\r\n\r\n")
            room = len(running.log()) + 4000  # for what it has to say
            assert room < max(path.stat().st_size for path in running.store.rglob("*.journal"))
            resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (room, room))
            assert await running.end(signal.SIGTERM) == 1
        assert json.loads(running.log().splitlines()[-1])["event"] == "records_lost"
        assert running.event("stopped") is None


def test_run_in_this_process(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Signals reach the main thread alone, so the loop runs here and a thread ends it."""
    limits = daemon.raise_file_limit, daemon.forbid_dumps, daemon.settle_memory
    names = ("raise_file_limit", "forbid_dumps", "settle_memory")
    handlers = {number: signal.getsignal(number) for number in HANDLED}
    done: list[str] = []
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM))
    try:
        for name in names:  # they are for a process of its own, for good
            setattr(daemon, name, lambda name=name: done.append(name))
        timer.start()
        assert daemon.run(daemon.configured(config(tmp_path / "store", 1)), "info") == 0
    finally:
        timer.join()
        for name, limit in zip(names, limits, strict=True):
            setattr(daemon, name, limit)
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert done == list(names)
    err = capfd.readouterr().err
    assert '"started"' in err and '"stopped"' in err


def test_what_keeps_it_from_starting_is_raised(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("no directory")
    with pytest.raises((StoreError, NotADirectoryError)):
        daemon.run(daemon.configured(config(tmp_path / "store", 1)), "error")


@pytest.mark.parametrize("broken", ["gone", "no PEM", "another's", "with a password"])
async def test_a_certificate_that_has_changed_since_its_check_is_refused_and_told(
    tmp_path: Path, broken: str,
) -> None:
    tls = Certified(tmp_path)
    settings = config(tmp_path / "store", 1)
    settings = replace(settings, server=replace(settings.server, tls=tls.files))
    log = io.StringIO()
    logger = Logger("info", log)
    app = App(settings, logger=logger)
    await app.start()
    try:
        key = Path(tls.files.key)
        if broken == "gone":
            key.unlink()
        elif broken == "with a password":
            private = serialization.load_pem_private_key(key.read_bytes(), None)
            key.write_bytes(private.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(b"secret")))
        elif broken == "no PEM":
            key.write_bytes(b"half of it")
        else:
            trustme.CA().issue_cert("b").private_key_pem.write_to_path(key)
        assert not daemon.take(app, Reading(settings, [], []), logger)
        assert '"reload_refused"' in log.getvalue() and '"fault"' not in log.getvalue()
    finally:
        await app.stop()


async def test_a_ca_file_that_has_changed_since_its_check_leaves_all_as_it_was(
    tmp_path: Path,
) -> None:
    tls = Certified(tmp_path)
    settings = config(tmp_path / "store", 1)
    settings = replace(settings, server=replace(settings.server, tls=tls.files))
    log = io.StringIO()
    logger = Logger("info", log)
    app = App(settings, logger=logger)
    await app.start()
    try:
        assert app._doors is not None
        before = app._doors._tls
        half = tmp_path / "half.pem"
        half.write_text("half of it")
        name, provider = next(iter(settings.providers.items()))
        secure = replace(
            provider, address=Address("https", "127.0.0.1", 1, "/v1"), ca_file=str(half))
        wished = replace(settings, providers={**settings.providers, name: secure})
        assert not daemon.take(app, Reading(wished, [], []), logger)
        assert "ca_file" in log.getvalue() and '"fault"' not in log.getvalue()
        assert app._doors._tls is before and app.config is settings
    finally:
        await app.stop()
