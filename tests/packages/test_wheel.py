"""Wheel and sdist have every file, and what is installed from them answers."""

from __future__ import annotations

import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from relayd import __version__
from tests.packages.built import CLEAN, THOROUGH, answer, build, copied, demo, install
from tests.shared import ROOT

EXAMPLES = ("relayd.example.toml", "prices.toml", "relayd.service", "relayd@.service",
            "relayd.socket", "requirements.lock", "sbom.cdx.json")
FILTER: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("build")
    return build(copied(folder / "source"), folder / "dist")


def below(folder: Path) -> set[str]:
    """All files of the package."""
    return {path.relative_to(ROOT).as_posix() for path in folder.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts}


def test_the_wheel_has_every_file(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[0]) as archive:
        names = set(archive.namelist())
    assert len(below(ROOT / "relayd")) > 100
    assert below(ROOT / "relayd") - names == set()
    data = f"relayd-{__version__}.data/data/share/relayd/"
    assert {name.removeprefix(data) for name in names if name.startswith(data)} == set(EXAMPLES)
    assert not any(name.startswith(("tests", "tools", "bench")) for name in names)


def test_the_sdist_can_build_and_test_itself(built: tuple[Path, Path], tmp_path: Path) -> None:
    with tarfile.open(built[1]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
        # our own archive; and the filter came with 3.11.4, Debian 12 has 3.11.2
        archive.extractall(tmp_path, **FILTER)
    wanted = below(ROOT / "relayd") | below(ROOT / "config") | below(ROOT / "tools")
    wanted |= below(ROOT / "packaging") | below(ROOT / "docs")
    wanted |= {"Makefile", "Containerfile", "requirements.lock", "sbom.cdx.json", "LICENSE",
               "tests/conftest.py", "tests/packages/test_wheel.py"}
    assert wanted - names == set()
    (source,) = tmp_path.iterdir()
    again, _ = build(source, tmp_path / "again")
    with zipfile.ZipFile(again) as one, zipfile.ZipFile(built[0]) as other:
        assert sorted(one.namelist()) == sorted(other.namelist())


@pytest.mark.parametrize("locked", [False, True], ids=["beside", "locked"])
def test_an_empty_venv_answers(built: tuple[Path, Path], tmp_path: Path, locked: bool) -> None:
    if locked and not THOROUGH:
        pytest.skip("fetches packages: make test-packages")
    program = install(built[0], tmp_path / "venv", locked=locked)
    helped = subprocess.run([program, "--help"], text=True, check=True, capture_output=True,
                            env=CLEAN)
    assert "serve" in helped.stdout and helped.stderr == ""
    assert (tmp_path / "venv/share/relayd/relayd.example.toml").exists()
    (tmp_path / "cwd").mkdir()
    with demo(str(program), cwd=tmp_path / "cwd") as told:
        found = answer(told["anthropic"], told["key"])
    assert found["choices"][0]["message"]["content"]
