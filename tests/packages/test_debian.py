"""The Debian package: what is in it, and that a fresh Debian answers with it."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests.packages.built import THOROUGH, answer, demo
from tests.packages.debian import fresh_root, in_root
from tests.shared import ROOT
from tools import deb


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not THOROUGH:
        pytest.skip("fetches packages: make test-packages")
    if shutil.which("dpkg-deb") is None:
        pytest.skip("dpkg-deb is not installed")
    return deb.build(tmp_path_factory.mktemp("deb"))


def test_what_is_of_debian(tmp_path: Path) -> None:
    """All but the environment, which takes minutes and an index."""
    deb.integration(tmp_path)
    deb.control(tmp_path)
    for path in deb.CONFIGURATION:
        assert f"/{path}\n" in (tmp_path / "DEBIAN/conffiles").read_text()
    for name in deb.UNITS:
        assert (tmp_path / "usr/lib/systemd/system" / name).exists()
    for page in ("man1/relayd.1", "man8/relayd.8", "man5/relayd.toml.5"):
        assert (tmp_path / f"usr/share/man/{page}.gz").read_bytes()[:2] == b"\x1f\x8b"
    fields = dict(re.findall(r"^(\S+): (.*)$", (tmp_path / "DEBIAN/control").read_text(), re.M))
    assert fields["Version"] == deb.package_version()
    assert f"python3.{sys.version_info.minor}," in fields["Depends"]
    assert fields["Architecture"] == deb.ARCHITECTURES[platform.machine()]


def test_later_sources_have_a_higher_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also beside changes that are not committed, and after packages without a time."""
    if shutil.which("dpkg") is None or shutil.which("git") is None:
        pytest.skip("dpkg or git is not installed")
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    monkeypatch.setattr(deb, "ROOT", tmp_path)
    monkeypatch.setattr(deb, "PACKAGED", ("tools",))
    (tmp_path / "tools/__pycache__").mkdir(parents=True)
    (tmp_path / ".gitignore").write_text("__pycache__/\n")
    source = tmp_path / "tools/manual.py"
    own = deb.own_version()
    found = [f"{own}-1"]
    for name, second, commit in (("one", 1_700_000_000, True), ("two", 1_700_000_001, False),
                                 ("two", 1_700_000_002, True)):
        source.write_text(name)
        os.utime(source, (second, second))
        (tmp_path / "tools/__pycache__/manual.pyc").write_text(name)
        if commit:
            committed(tmp_path, second)
        found.append(deb.package_version())
    assert found[1:] == [f"{own}+2023111422132{each}-1" for each in range(3)]
    for earlier, later in pairwise(found):
        subprocess.run(["dpkg", "--compare-versions", earlier, "lt", later], check=True)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    assert deb.package_version() == f"{own}+19700101000000-1"


def committed(folder: Path, second: int) -> None:
    """What lies there is committed at this second."""
    environment = {**os.environ, "GIT_COMMITTER_DATE": f"{second} +0000",
                   "GIT_CONFIG_GLOBAL": os.devnull}
    person = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for words in (("init", "-q"), ("add", "tools/manual.py"),
                  (*person, "commit", "-q", "-m", "a")):
        subprocess.run(["git", *words], cwd=folder, check=True, env=environment)


@pytest.mark.parametrize("name", deb.SCRIPTS)
def test_scripts_are_shell_and_make_nothing(name: str) -> None:
    text = (deb.PACKAGING / name).read_text("utf-8")
    subprocess.run(["sh", "-n", str(deb.PACKAGING / name)], check=True)
    assert "set -e" in text
    assert not re.search(r"adduser|useradd|mkdir|chown|rm ", text)


def test_the_configuration_that_it_installs_is_usable() -> None:
    program = [sys.executable, "-m", "relayd", "check", "-c", str(deb.PACKAGING / "relayd.toml")]
    done = subprocess.run(program, text=True, capture_output=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_it_contains_no_place_of_its_making(package: Path, tmp_path: Path) -> None:
    subprocess.run(["dpkg-deb", "-x", str(package), str(tmp_path)], check=True)
    where = str(ROOT).encode()
    found = [file for file in tmp_path.rglob("*")
             if file.is_file() and not file.is_symlink() and where in file.read_bytes()]
    assert found == []


def test_apt_installs_it_and_it_answers(package: Path, tmp_path: Path) -> None:
    root = fresh_root(tmp_path / "root", package)
    assert in_root(root, "dpkg", "--verify", "relayd") == ""
    assert "serve" in in_root(root, "relayd", "--help")
    with demo("chroot", str(root), "relayd", cwd=root) as told:
        found = answer(told["anthropic"], told["key"])
    assert found["choices"][0]["message"]["content"]
    # nothing of it was written to: bytecode is part of the package
    assert in_root(root, "dpkg", "--verify", "relayd") == ""
    listed = in_root(root, "dpkg", "-L", "relayd").splitlines()
    there = in_root(root, "find", "/usr/lib/relayd").splitlines()
    assert set(there) - set(listed) == set()
    in_root(root, "apt-get", "purge", "-y", "relayd")
    assert not (root / "usr/lib/relayd").exists() and not (root / "etc/relayd").exists()
    shutil.rmtree(root)  # half a gigabyte
