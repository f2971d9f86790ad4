"""Others' programs in a cache folder: for each a virtualenv, a node folder or unpacked files.

Law: what is there at the pinned version is not installed again; nothing outside it changes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.gateways.catalogue import Entry
from bench.process import NotStarted

SECONDS: Final = 600
STAMP: Final = "installed"
# with its newest companions every stream of Portkey's answers 500 ("immutable")
NPM_OVERRIDES: Final = {
    "hono": "4.9.7", "@hono/node-server": "1.13.5", "@hono/node-ws": "1.2.0",
    "async-retry": "1.3.3",
}


def cache_folder() -> Path:
    """$XDG_CACHE_HOME/relayd-bench, by default ~/.cache/relayd-bench."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "relayd-bench"


def ready(entry: Entry, cache: Path) -> Path:
    """The folder that holds the peer; installs it first. Raises NotStarted with the reason."""
    home = cache / entry.name
    stamp = home / STAMP
    wanted = " ".join(entry.packages)
    if entry.source == "ours" or (stamp.exists() and stamp.read_text("utf-8") == wanted):
        return home
    if entry.source == "debian" and shutil.which(entry.name, path="/usr/sbin:/usr/bin"):
        return home
    home.mkdir(parents=True, exist_ok=True)
    {"pypi": _pip, "npm": _npm, "debian": _debian}[entry.source](entry, home)
    stamp.write_text(wanted, "utf-8")
    return home


def _pip(entry: Entry, home: Path) -> None:
    venv = home / "venv"
    if not (venv / "bin/python").exists():
        _run([sys.executable, "-m", "venv", str(venv)], home)
    _run([str(venv / "bin/python"), "-m", "pip", "install", "-q", "--disable-pip-version-check",
          *entry.packages], home)


def _npm(entry: Entry, home: Path) -> None:
    if shutil.which("npm") is None:
        raise NotStarted("npm is not installed")
    name, _, version = entry.packages[0].rpartition("@")
    (home / "package.json").write_text(json.dumps({
        "name": "peer", "version": "1.0.0", "type": "module", "dependencies": {name: version},
        "overrides": NPM_OVERRIDES}), "utf-8")
    _run(["npm", "install", "--no-fund", "--no-audit", "--ignore-scripts"], home)


def _debian(entry: Entry, home: Path) -> None:
    if shutil.which("apt-get") is None:
        raise NotStarted("no Debian: install it by the system's own means")
    for package in entry.packages:
        _run(["apt-get", "-q", "download", package], home)
    for archive in home.glob("*.deb"):
        _run(["dpkg", "-x", str(archive), str(home)], home)
        archive.unlink()


def _run(command: Sequence[str], home: Path) -> None:
    try:
        done = subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotStarted(f"not installed: {type(error).__name__}") from error
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no message"]
        raise NotStarted(f"not installed: {said[-1][:160]}")
