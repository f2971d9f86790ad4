"""Builds and installs what is shipped, away from the checkout, for the tests of this folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.shared import ROOT

THOROUGH = os.environ.get("RELAYD_PACKAGES", "") == "1"
"""Whether packages may be fetched and Debian roots made: `make test-packages`."""
NEEDED = ("relayd", "config", "docs", "packaging", "tools", "bench", "tests", "setup.cfg",
          "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "CHANGELOG.md", "Makefile",
          "Containerfile", "requirements.lock", "sbom.cdx.json")
BUILD = """
import sys
from setuptools import build_meta
into = sys.argv[1]  # the hooks write over it
for hook in (build_meta.build_wheel, build_meta.build_sdist):
    hook(into)
"""
PATIENCE_SECONDS = 60
CLEAN = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
"""A checkout that PYTHONPATH names is neither built, nor found installed, nor run."""


def copied(folder: Path) -> Path:
    """The sources, so that no build leaves anything in the checkout."""
    ignore = shutil.ignore_patterns("__pycache__", "node_modules", "out", "*.pyc")
    for name in NEEDED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=ignore)
        else:
            shutil.copy(source, folder / name)
    return folder


def build(source: Path, into: Path) -> tuple[Path, Path]:
    """(wheel, sdist) of a source tree; skips where setuptools is too old for it."""
    if int(version("setuptools").partition(".")[0]) < 77:
        pytest.skip("building takes setuptools 77 or later")
    into.mkdir(exist_ok=True)
    subprocess.run([sys.executable, "-c", BUILD, str(into)], cwd=source, check=True, timeout=300,
                   capture_output=True, env=CLEAN)
    (wheel,), (sdist,) = into.glob("*.whl"), into.glob("*.tar.gz")
    return wheel, sdist


def install(wheel: Path, folder: Path, *, locked: bool) -> Path:
    """The wheel in an empty venv; its bin/relayd. `locked`: with dependencies from the lock, else
    with those of the tests' own environment, which no index is asked for."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True,
                   env=CLEAN)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps",
           "--disable-pip-version-check"]
    if locked:
        subprocess.run([*pip, "--require-hashes", "-r", str(ROOT / "requirements.lock")],
                       check=True, timeout=300, env=CLEAN)
    else:
        (packages,) = folder.glob("lib/python*/site-packages")
        (packages / "beside.pth").write_text(sysconfig.get_path("purelib") + "\n")
    subprocess.run([*pip, "--no-index", str(wheel)], check=True, timeout=300, env=CLEAN)
    return folder / "bin" / "relayd"


@contextmanager
def demo(*command: str, cwd: Path) -> Iterator[dict[str, Any]]:
    """What `relayd demo --json` tells, while it runs."""
    process = subprocess.Popen([*command, "demo", "--port", "0", "--json"], cwd=cwd,
                               stdout=subprocess.PIPE, text=True, env=CLEAN)
    try:
        assert process.stdout is not None
        told: dict[str, Any] = json.loads(process.stdout.readline())
        yield told
    finally:
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0
        process.stdout.close()


def answer(origin: str, key: str) -> dict[str, Any]:
    """What a chat completion says."""
    body = {"model": "demo", "messages": [{"role": "user", "content": "hello"}]}
    request = urllib.request.Request(
        f"{origin}/v1/chat/completions", json.dumps(body).encode(),
        {"authorization": f"Bearer {key}", "content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as reply:
        found: dict[str, Any] = json.load(reply)
    return found
