"""The Containerfile keeps to what reviewers of images look for, and builds what it says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packages.built import THOROUGH, answer, copied, demo
from tests.packages.debian import base
from tests.shared import ROOT

FILE = ROOT / "Containerfile"
PINNED = re.compile(r"debian:12-slim( AS [a-z]+)?")


def instructions(path: Path = FILE) -> list[tuple[str, str]]:
    """(word, rest) of each instruction, continued lines joined, comments left out."""
    lines = [line for line in path.read_text("utf-8").splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    pairs = [line.partition(" ") for line in joined.splitlines() if line]
    return [(word, rest) for word, _, rest in pairs]


def values(word: str) -> list[str]:
    """What follows each of these instructions."""
    return [rest for name, rest in instructions() if name == word]


def test_bases_are_pinned_and_from_no_named_place() -> None:
    assert len(values("FROM")) == 2
    assert all(PINNED.fullmatch(base) for base in values("FROM"))
    assert values("ADD") == []


def test_nothing_of_apt_is_left_behind() -> None:
    installing = [rest for rest in values("RUN") if "apt-get install" in rest]
    assert len(installing) == 2
    for rest in installing:
        assert "--no-install-recommends" in rest and rest.startswith("apt-get update && ")
        assert "rm -rf /var/lib/apt/lists/*" in rest


def test_what_runs_is_from_the_lock() -> None:
    pips = [part for rest in values("RUN") for part in rest.split("&&") if "pip install" in part]
    assert all("--no-cache-dir" in part and "--no-deps" in part for part in pips)
    assert any("--require-hashes" in part and "requirements.lock" in part for part in pips)


def test_it_runs_as_nobody_in_particular() -> None:
    last = max(n for n, (word, _) in enumerate(instructions()) if word == "FROM")
    final = dict(instructions()[last:])
    # by number, so that a runtime can see that it is not root
    user, _, group = final["USER"].partition(":")
    assert int(user) > 1000 and int(group) > 1000
    assert f"install -d -o {user} -g {group} -m 0700 {final['VOLUME']}" in final["RUN"]
    assert final["STOPSIGNAL"] == "SIGTERM"


def test_programs_get_their_signals() -> None:
    """The exec form: a shell in between would keep SIGTERM to itself."""
    (entry,), (command,) = values("ENTRYPOINT"), values("CMD")
    assert json.loads(entry) == ["relayd"]
    assert json.loads(command) == ["serve", "-c", "/etc/relayd/relayd.toml"]
    (check,) = values("HEALTHCHECK")
    program = json.loads(check.partition("CMD ")[2])
    assert "/readyz" in program[-1]
    compile(program[-1], "healthcheck", "exec")


def test_what_is_copied_exists() -> None:
    for rest in values("COPY"):
        source = rest.split()[0]
        assert source.startswith("--from=build") or (ROOT / source).exists()


LOCAL = ("usr/local/share/ca-certificates", "etc/pip.conf", "etc/xdg/pip", "etc/apt/apt.conf.d")
"""What a machine may need of its own to reach its indexes."""


class Engine:
    """buildah with a store of its own, without a daemon or a registry."""

    def __init__(self, folder: Path) -> None:
        self.program = ["buildah", "--root", str(folder / "store"), "--runroot",
                        str(folder / "run"), "--storage-driver", "vfs"]

    def __call__(self, *words: str) -> str:
        done = subprocess.run([*self.program, *words], text=True, capture_output=True, timeout=900,
                              env={**os.environ, "BUILDAH_ISOLATION": "chroot"})
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout.strip()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """With the base image that the Containerfile starts from, made of a fresh Debian."""
    if not THOROUGH:
        pytest.skip("fetches packages: make test-packages")
    if shutil.which("buildah") is None:
        pytest.skip("buildah is not installed")
    debian = base()
    engine = Engine(tmp_path_factory.mktemp("images"))
    container = engine("from", "scratch")
    engine("copy", container, str(debian), "/")
    for path in LOCAL:
        if Path("/", path).exists():
            engine("copy", container, f"/{path}", f"/{path}")
    engine("run", container, "--", "update-ca-certificates")
    engine("commit", "-q", "--rm", container, "docker.io/library/debian:12-slim")
    yield engine
    engine("rm", "--all")


def test_the_image_builds_and_answers(engine: Engine, tmp_path: Path) -> None:
    source = copied(tmp_path / "source")
    engine("bud", "--pull-never", "--format", "docker", "--network", "host", "-t", "relayd",
           str(source))
    container = engine("from", "--pull-never", "localhost/relayd")
    (user,) = values("USER")
    assert engine("run", container, "--", "id", "-u") == user.partition(":")[0]
    assert engine("run", container, "--", "relayd", "--version").startswith("relayd ")
    # neither what built it nor what the checkout had besides
    assert engine("run", container, "--", "sh", "-c", "command -v pip || ls /source; true") == ""
    # not by the engine, which would end it without asking
    folder, program = values("WORKDIR")[-1], 'cd "$0" && PATH=$1 exec relayd "$2" "$3" "$4" "$5"'
    path = re.search(r"PATH=(\S+)", values("ENV")[0])
    assert path is not None
    with demo("chroot", f"--userspec={user}", engine("mount", container), "sh", "-c", program,
              folder, path[1], cwd=tmp_path) as told:
        assert answer(told["anthropic"], told["key"])["choices"][0]["message"]["content"]
