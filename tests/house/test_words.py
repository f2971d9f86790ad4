"""Words that no tracked file may have: unfinished marks, machines' paths, private registries."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shared import ROOT

# written in two parts, so that this file passes its own test
BANNED = {
    "an unfinished mark": re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b"),
    "a path of one machine": re.compile(
        r"(?<![\w.])/(?:wo" r"rk|ho" r"me/\w+|ro" r"ot|Us" r"ers/\w+)/(?!\.\.\.)[\w.]"),
    "a folder of one machine": re.compile(r"\.lib" r"rary\b"),
    "a registry of one machine": re.compile(
        r"(?:extra-|^\s*|--)index" r"-url|PIP_INDEX" r"_URL|npm_config_reg" r"istry"
        r"|^regis" r"try\s*=",
        re.MULTILINE),
    "a conflict": re.compile(r"^(?:<<<<<" r"<< |>>>>>" r">> )", re.MULTILINE),
}
RESOLVED = re.compile(r'"resolved": "([^"]+)"')
PUBLIC = "https://registry.npmjs.org/"


def words_in(text: str) -> Iterator[tuple[int, str]]:
    """(line, what is wrong) for each banned word."""
    for name, pattern in BANNED.items():
        for match in pattern.finditer(text):
            yield text.count("\n", 0, match.end()) + 1, name


def tracked() -> list[Path]:
    """The files that git knows; all of the package's own where there is no git."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listing.returncode:
        return [p for folder in ("relayd", "tests", "docs", "config", "bench")
                for p in (ROOT / folder).rglob("*")
                if "node_modules" not in p.parts and p.is_file()]
    return [path for name in listing.stdout.decode().split("\0")
            if name and (path := ROOT / name).is_file()]


def test_tracked_files() -> None:
    found = []
    for path in tracked():
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}:{line}: {what}" for line, what in words_in(text)]
    assert found == []


def test_lock_files_name_the_public_registry() -> None:
    for path in tracked():
        if path.name == "package-lock.json":
            hosts = RESOLVED.findall(path.read_text("utf-8"))
            assert {url for url in hosts if not url.startswith(PUBLIC)} == set()


def test_nothing_large_is_tracked() -> None:
    sizes = {str(p.relative_to(ROOT)): p.stat().st_size for p in tracked()}
    assert {name: size for name, size in sizes.items() if size > 2 << 20} == {}


@pytest.mark.parametrize("text", [
    "# TO" "DO: later", "FIX" "ME", "cd /wo" "rk/x",
    "see /ho" "me/someone/x", "read .lib" "rary/x",
    "pip install --index" "-url http://x.test", "index" "-url = http://x.test",
    "a\n<<<<<" "<< HEAD\n",
])
def test_a_banned_word_is_found(text: str) -> None:
    assert list(words_in(text))


@pytest.mark.parametrize("text", [
    "a method", "/workers/x", "home/x", "XXXL", "a library", "https://api.test/work/1", "a << b",
])
def test_an_innocent_word_is_not(text: str) -> None:
    assert not list(words_in(text))
