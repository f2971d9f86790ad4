"""A fresh Debian in a folder, with relayd's package installed by its own apt."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.shared import ROOT

SUITE = "bookworm"
INCLUDED = "systemd,systemd-sysv,dbus,python3.11,ca-certificates,curl"
CACHE = Path(os.environ.get("RELAYD_DEBIAN_ROOT", ROOT / "build" / f"debian-{SUITE}"))
"""Made once by debootstrap, and copied for each test."""


def base() -> Path:
    """The fresh root; skips where none can be made."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a Debian root")
    if not (CACHE / "etc/debian_version").exists():
        if shutil.which("debootstrap") is None:
            pytest.skip("debootstrap is not installed")
        CACHE.parent.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["debootstrap", "--variant=minbase", f"--include={INCLUDED}", SUITE,
                               str(CACHE)], timeout=900, capture_output=True)
        if done.returncode:
            shutil.rmtree(CACHE, ignore_errors=True)
            pytest.skip("debootstrap cannot reach a mirror of Debian")
    return CACHE


def in_root(root: Path, *command: str) -> str:
    """What a program in the root prints."""
    done = subprocess.run(
        ["chroot", str(root), *command], check=True, text=True, capture_output=True, timeout=300,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive"})
    return done.stdout


def fresh_root(folder: Path, package: Path) -> Path:
    """A root of its own, with the package."""
    subprocess.run(["cp", "-a", str(base()), str(folder)], check=True)
    shutil.copy(package, folder / "relayd.deb")
    in_root(folder, "apt-get", "install", "-y", "--no-install-recommends", "/relayd.deb")
    return folder
