"""What was measured on: without it a figure says nothing."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Final

PACKAGES: Final = ("uvloop", "httptools", "aiohttp", "aiofastnet", "msgspec", "tiktoken")
ROOT: Final = Path(__file__).resolve().parents[1]


def describe() -> dict[str, str]:
    """Processor, cores, kernel, versions and the commit."""
    found = {
        "cpu": _cpu(), "cores": str(os.cpu_count()), "kernel": platform.release(),
        "python": platform.python_version(), "commit": _commit(),
    }
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "absent"
    return found


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _commit() -> str:
    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True,
                              timeout=10, check=True).stdout.strip()
    try:
        changed = "+" if git("status", "--porcelain", "--", "relayd") else ""
        return git("rev-parse", "--short", "HEAD") + changed
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def busy_seconds() -> float:
    """Seconds that all cores together were busy since the start of the machine."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    user, nice, system, _idle, _iowait, irq, softirq, steal = (int(each) for each in fields)
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
