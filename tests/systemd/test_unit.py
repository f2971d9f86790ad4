"""The unit files: systemd finds nothing wrong in them, and the daemon lives within them."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from relayd.ops.hashing import NICE
from relayd.ops.journald import IDENTIFIER
from tests.fakes import confined
from tests.fakes.daemon import plain_answer, records
from tests.fakes.process import DaemonProcess
from tests.fakes.rawclient import RawClient, ask, request_bytes
from tests.fakes.rawupstream import Answer, RawUpstream
from tests.fakes.stepped import EVENTS, chunk
from tests.http.play import BODY, STREAM, TARGET
from tests.shared import ROOT

UNITS = [ROOT / "config" / name for name in (
    "relayd.service", "relayd@.service", "relayd.socket")]
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
EXPOSURE_MAX = 1.5
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"one"}}]}\n\n'
SLOW = EVENTS + chunk(EVENT) * 40 + chunk(b"data: [DONE]\n\n") + chunk(b"")
PROBE = """
import ctypes, errno, mmap, os, socket, sys
def refused(call, *given):
    try:
        call(*given)
    except OSError as error:
        return error.errno == errno.EPERM
    return False
found = [refused(socket.socket, family) for family in (socket.AF_NETLINK, socket.AF_PACKET)]
found += [refused(os.sched_setaffinity, 0, {0}), refused(os.chroot, "/")]
found += [refused(mmap.mmap, -1, 4096, mmap.MAP_PRIVATE, mmap.PROT_WRITE | mmap.PROT_EXEC)]
open(sys.argv[1], "w").write(repr(found))
"""

CONSOLE = """
import asyncio, os, sys, threading
from relayd.control import passkey
from relayd.core.sheet import Sheet
from relayd.ops import pdf, qr
from relayd.ops.hashing import Hashing
from relayd.ops.late import ready
async def main():
    hashing = Hashing()
    hashed = await hashing.hash("correct horse battery staple")
    found = [await hashing.right(hashed, "correct horse battery staple"),
             await hashing.score("correct horse battery staple", ()),
             await hashing._run(lambda: os.getpriority(
                 os.PRIO_PROCESS, threading.get_native_id()))]
    hashing.close()
    await ready(passkey.webauthn)
    found += [passkey.exceptions.WebAuthnException.__name__, (await qr.drawn("a"))[:5]]
    found.append((await pdf.printed(Sheet("en", "Invoice")))[:5])
    open(sys.argv[1], "w").write(repr(found))
asyncio.run(main())
"""


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    """What systemd-analyze says."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    return subprocess.run(["systemd-analyze", *words], text=True, timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_exposure(unit: Path, tmp_path: Path) -> None:
    # a template is rated as one of its instances
    file = tmp_path / unit.name.replace("@.", "@x.")
    file.write_bytes(unit.read_bytes())
    done = analyze("security", "--offline=true", "--no-pager",
                   f"--threshold={EXPOSURE_MAX * 10:.0f}", str(file))
    assert done.returncode == 0, done.stdout
    found = re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found is not None and float(found[1]) < EXPOSURE_MAX
    print(f"{unit.name}: exposure {found[1]}")


def test_an_open_service_is_found(tmp_path: Path) -> None:
    file = tmp_path / "open.service"
    file.write_text("[Service]\nExecStart=/bin/true\n")
    assert analyze("security", "--offline=true", "--threshold=15", str(file)).returncode != 0


def test_systemd_finds_nothing_wrong() -> None:
    # the manual is installed by packages, not by a checkout
    done = analyze("verify", "--man=no", *map(str, UNITS))
    assert (done.returncode, done.stdout) == (0, "")


def test_the_template_is_the_service_of_another_file() -> None:
    """One text twice would differ soon: only the lines that name the instance may."""
    one, many = (unit.read_text("utf-8").splitlines() for unit in SERVICES)
    differ = [line for line in many if line not in one and not line.startswith("#")]
    assert differ and all("%i" in line for line in differ)
    named = [line for line in one if line not in many and not line.startswith("#")]
    assert len(named) == len(differ)


def test_what_the_daemon_expects_is_in_the_unit() -> None:
    settings = confined.service(SERVICES[0])
    assert settings["Type"] == ["notify"] and settings["KillMode"] == ["mixed"]
    assert settings["LimitCORE"] == ["0"] and settings["MemorySwapMax"] == ["0"]
    # as what is written to the journal itself, with format = "journald"
    assert settings["SyslogIdentifier"] == [IDENTIFIER]
    stop = settings["TimeoutStopSec"][0]
    drain = re.search(r"^drain_seconds = (\d+)$", (
        ROOT / "config" / "relayd.example.toml").read_text("utf-8"), re.MULTILINE)
    assert drain is not None and int(stop.removesuffix("s")) > int(drain[1])


@pytest.fixture
def launcher() -> list[str]:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed: it knows the groups of calls")
    return [sys.executable, "-m", "tests.fakes.confined", str(SERVICES[0])]


def test_the_filters_are_really_there(tmp_path: Path, launcher: list[str]) -> None:
    subprocess.run([*launcher, sys.executable, "-c", PROBE, str(tmp_path / "found")],
                   check=True, timeout=60, cwd=ROOT, stderr=subprocess.PIPE)
    assert (tmp_path / "found").read_text() == repr([True] * 5)


def test_the_console_lives_within_the_filters(tmp_path: Path, launcher: list[str]) -> None:
    """Passwords are hashed, by threads that step back; the libraries that load late do so."""
    subprocess.run([*launcher, sys.executable, "-c", CONSOLE, str(tmp_path / "found")],
                   check=True, timeout=60, cwd=ROOT, stderr=subprocess.PIPE)
    assert (tmp_path / "found").read_text() == repr(
        [True, 4, NICE, "WebAuthnException", b"<?xml", b"%PDF-"])


@pytest.fixture
async def upstream() -> AsyncIterator[RawUpstream]:
    made = RawUpstream(plain_answer)
    await made.start()
    yield made
    await made.stop()


async def test_the_daemon_lives_within_the_filters(
    tmp_path: Path, upstream: RawUpstream, launcher: list[str],
) -> None:
    """Calls, a stream, a reload, what the shell's commands do, and a drain."""
    environment = {"PYTHONPATH": str(ROOT)}
    async with DaemonProcess(tmp_path / "d", upstream.port, launcher=launcher,
                             environment=environment) as running:
        assert "confined: " in running.log()
        call = request_bytes(TARGET, running.key, BODY)
        assert (await ask(running.address, call)).status == 200
        upstream.answers.append(Answer(SLOW, pace=f"segments-{len(SLOW) // 60}"))
        async with RawClient(running.address) as client:
            await client.send(request_bytes(TARGET, running.key, STREAM))
            await client.reader.readuntil(b"\r\n\r\n")
            running.signal(signal.SIGHUP)
            assert (await ask(running.address, call)).status == 200
            await running.logged("reloaded")
            running.signal(signal.SIGTERM)
            assert (await client.reader.read()).endswith(b"[DONE]\n\n\r\n0\r\n\r\n")
        assert await running.ended() == 0
        log = running.log()
    assert '"stopped"' in log
    # a call that a filter refused ends in one of these
    assert "PermissionError" not in log and "fault" not in log and '"error"' not in log
    assert [r.outcome for r in await records(tmp_path / "d" / "store")] == ["completed"] * 3
