"""The Containerfile keeps to what reviewers of images look for; no engine is needed to see it."""

from __future__ import annotations

import json
import re
from pathlib import Path

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
