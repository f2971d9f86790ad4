"""Manual pages and completion say what the program says, in forms that programs read."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from relayd.cli import GROUPS, commands
from tools import completion, manual

COMPLETE = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
_relayd; echo "${COMPREPLY[*]}"
"""


@pytest.mark.parametrize("name", manual.PAGES)
def test_roff_has_no_complaint(name: str, tmp_path: Path) -> None:
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed")
    (page,) = (page for page in manual.write(tmp_path) if page.name == name)
    done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", str(page)], check=True, text=True,
                          capture_output=True)
    assert done.stderr == "" and len(done.stdout) > 1000


def test_every_command_and_option_has_its_lines() -> None:
    text = manual.shell_page().replace("\\-", "-")
    for command in commands():
        assert f".B relayd {command.name}\n" in text
        for option in command.options:
            assert all(f"\\fB{flag}\\fR" in text for flag in option.flags)


def test_a_command_stands_under_its_own_group() -> None:
    before, *groups = manual.shell_page().replace("\\-", "-").split("\n.SS relayd ")
    for command in commands():
        group, _, word = command.name.rpartition(" ")
        place = before if not group else next(
            each for each in groups if each.startswith(f"{group}\n"))
        assert f".B relayd {command.name}\n" in place, word


def test_the_shell_s_page_tells_of_c_and_of_the_environment() -> None:
    text = manual.shell_page()
    assert "\\-\\-config" in text and ".B RELAYD_CONFIG" in text


def test_every_key_of_the_example_has_its_lines() -> None:
    example = manual.EXAMPLE.read_text("utf-8")
    text = manual.configuration_page(example)
    keys = {line.partition(" = ")[0] for line in example.splitlines() if " = " in line[:40]}
    keys = {key for key in keys if key.isidentifier()}
    assert len(keys) > 50
    assert {key for key in keys if f"\\fB{key}\\fR = " not in text} == set()
    for line in example.splitlines():
        assert not line.startswith("[") or f".SS {manual.escaped(line)}\n" in text


def test_a_page_of_a_small_file() -> None:
    page = manual.configuration_page(
        "# About.\n#\n# More.\n\n# One.\n[a]\n# Why b-c.\nb = [\n  # each\n  1,\n]\nc = 2\n"
        "# .d\n# d = 3\n\n# [x.y]\n# e = 4\n")
    body = page.partition(".SH DESCRIPTION\n")[2].partition(".SH SEE")[0]
    assert body == (
        "About.\n.PP\nMore.\n.SH OPTIONS\n.SS [a]\nOne.\n"
        ".TP\n\\fBb\\fR = [ 1, ]\n.TQ\n\\fBc\\fR = 2\nWhy b\\-c.\neach\n"
        ".TP\n\\fBd\\fR = 3 (not set)\n\\&.d\n.TP\n\\fBe\\fR = 4 (not set)\n")


@pytest.mark.parametrize(("words", "wanted"), [
    (["relayd", "acc"], {"accounts"}),
    (["relayd", ""], {c.name for c in commands() if " " not in c.name} | set(GROUPS)
     | {"-c", "--config", "--help"}),
    (["relayd", "accounts", "cr"], {"create"}),
    (["relayd", "-c", "/x", "che"], {"check"}),
    (["relayd", "check", "--j"], {"--json"}),
    (["relayd", "keys", "list", "--j"], {"--json"}),
    (["relayd", "nonsense", ""], set()),
])
def test_completion(words: list[str], wanted: set[str], tmp_path: Path) -> None:
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    file = tmp_path / "completion"
    file.write_text(completion.script())
    done = subprocess.run(["bash", "-c", COMPLETE, "bash", str(file), *words], check=True,
                          text=True, capture_output=True)
    assert set(done.stdout.split()) == wanted and done.stderr == ""
