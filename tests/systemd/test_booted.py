"""The package's service under a real systemd, booted in a root of its own: `make test-systemd`."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.packages.debian import fresh_root
from tests.shared import ROOT
from tools import deb

WISHED = os.environ.get("RELAYD_NSPAWN", "") == "1"
SCRIPT = Path(__file__).with_name("inside.sh")
UNIT = """\
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/check.sh
ExecStopPost=/usr/bin/systemctl poweroff --force
"""
SEEN = (
    "started", "status", "state-directory", "own-user", "filtered", "call", "journal-call",
    "console", "console-password", "console-passkey", "keys-private", "reload", "reload-taken",
    "reload-refused", "journal-refused", "call-after-reload", "watchdog-restarted",
    "call-after-watchdog", "stopped", "socket-starts-it", "call-in-a-restart",
)
BOOT_SECONDS = 300


def test_the_script_is_shell_and_says_what_is_waited_for() -> None:
    subprocess.run(["bash", "-n", str(SCRIPT)], check=True)
    lines = [line.split() for line in SCRIPT.read_text("utf-8").splitlines()]
    assert tuple(words[1] for words in lines if words[:1] == ["ok"]) == SEEN


@pytest.mark.skipif(not WISHED, reason="boots a Debian: make test-systemd")
def test_its_life(tmp_path: Path) -> None:
    if shutil.which("systemd-nspawn") is None:
        pytest.skip("systemd-nspawn is not installed (systemd-container)")
    root = fresh_root(tmp_path / "root", deb.build(tmp_path))
    shutil.copy(SCRIPT, root / "check.sh")
    unit = root / "etc/systemd/system/check.service"
    unit.write_text(UNIT)
    wants = root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(exist_ok=True)
    (wants / "check.service").symlink_to("../check.service")
    booted = subprocess.run(
        ["systemd-nspawn", "-q", "--register=no", "--keep-unit", "--private-network", "--boot",
         "-D", str(root)], cwd=ROOT, timeout=BOOT_SECONDS, stdin=subprocess.DEVNULL, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if not (root / "check.out").exists():
        pytest.skip("systemd-nspawn cannot boot here: "
                    + booted.stdout.strip().rpartition("\n")[2])
    told = (root / "check.out").read_text("utf-8")
    lines = told.splitlines()
    assert [line for line in lines if line.startswith(("ok ", "WRONG"))] == [
        f"ok {name}" for name in SEEN], told
    assert lines[-1] == "end"
    shutil.rmtree(root)  # half a gigabyte
