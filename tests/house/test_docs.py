"""What exists is documented: commands, options, the version, decisions; links lead somewhere."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from relayd import __version__
from relayd.cli import commands
from relayd.core.usage import ENDINGS, Basis
from tests.shared import ROOT

EXAMPLE = ROOT / "config" / "relayd.example.toml"
DECISIONS = ROOT / "docs" / "decisions"
ACCESSORS = frozenset({"text", "choice", "boolean", "integer", "number", "texts", "raw", "table",
                       "path"})
"""Methods by which the file's reader asks for an option."""
BASES: dict[Basis, tuple[str, str]] = {
    "none": ("`none`", "0"),
    "report": ("`reported`, else `none`", "what the provider reported, else 0"),
    "whole": ("`reported`, else `counted` or `estimated`",
              "what the provider reported, else the relay's count"),
    "answered": ("`reported`, `counted` or `estimated`; `none` if no text came",
                 "what was reported, and what passed since; without any text 0"),
    "so_far": ("`reported`, `counted` or `estimated`",
               "what was reported, and what passed since; else prompt and text as counted"),
}
"""What README says of each basis: `usage_source` and tokens."""
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def options(source: str) -> Iterator[str]:
    """The names of options that a module of the file's reader asks for."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            name = node.args[0]
            if node.func.attr in ACCESSORS and isinstance(name, ast.Constant):
                yield str(name.value)


def unmentioned(names: Iterable[str], *texts: str) -> set[str]:
    """The names that none of the texts has as a word."""
    whole = "\n".join(texts)
    return {n for n in names if not re.search(rf"(?<![\w-]){re.escape(n)}(?![\w-])", whole)}


def untold_commands(names: Iterable[str], text: str) -> set[str]:
    """The commands that no line has: `keys list`, or `relayd keys create, list` for short."""
    lines = [line for line in text.splitlines() if "relayd" in line]
    return {name for name in names
            if not any(unmentioned(name.split(), line) == set() for line in lines)}


def broken_links(page: Path) -> list[str]:
    """Relative links of a page whose file, or whose heading, does not exist."""
    return [link for link in LINK.findall(page.read_text("utf-8"))
            if "://" not in link and not link.startswith("mailto:") and not _leads(page, link)]


def _leads(page: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = page.parent / name if name else page
    if not target.exists():
        return False
    if not anchor or target.suffix != ".md":
        return True
    headings = HEADING.findall(target.read_text("utf-8"))
    return anchor in {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def _readme() -> str:
    return (ROOT / "README.md").read_text("utf-8")


def test_every_command_is_in_the_readme() -> None:
    names = {command.name for command in commands()}
    assert len(names) > 8
    assert untold_commands(names, _readme()) == set()


def test_every_make_target_is_in_the_readme() -> None:
    (targets,) = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert unmentioned({f"make {t}" for t in targets.split() if t != "clean"}, _readme()) == set()


def test_every_option_is_in_the_example() -> None:
    names = {name for file in (ROOT / "relayd" / "ops").glob("configfile*.py")
             for name in options(file.read_text("utf-8"))}
    assert len(names) > 30
    assert unmentioned(names, EXAMPLE.read_text("utf-8")) == set()


def test_the_table_of_endings_is_the_relay_s_own() -> None:
    rows = [f"| {rule.when} | `{rule.outcome}` | {' | '.join(BASES[rule.basis])} |"
            for rule in ENDINGS.values()]
    told = re.search(r"\n\| ending \|[^\n]*\n\|[ -|]*\n((?:\|[^\n]*\n)+)", _readme())
    assert told is not None and told[1].splitlines() == rows


def test_the_changelog_starts_with_this_version() -> None:
    versions = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert versions[0].strip("[]") in (__version__, "Unreleased")
    assert __version__ in {v.strip("[]") for v in versions}


def test_decisions_are_numbered_and_listed() -> None:
    pages = sorted(p.name for p in DECISIONS.glob("0*.md"))
    assert [int(name[:4]) for name in pages] == list(range(1, len(pages) + 1))
    listed = LINK.findall((DECISIONS / "README.md").read_text("utf-8"))
    assert [link for link in listed if link[:1] == "0"] == pages
    assert "docs/decisions" in _readme()


def test_decisions_that_are_cited_exist() -> None:
    cited = {number for path in ("relayd", "config", "bench", "tests")
             for file in (ROOT / path).rglob("*.[pt][yo]*")
             if "node_modules" not in file.parts and file.suffix in (".py", ".toml")
             for number in re.findall(r"docs/decisions/(\d{4})", file.read_text("utf-8"))}
    cited |= set(re.findall(r"docs/decisions/(\d{4})", (ROOT / "setup.cfg").read_text("utf-8")))
    assert cited - {p.name[:4] for p in DECISIONS.glob("0*.md")} == set()


def test_links_lead_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "bench").glob("*.md"),
             *(ROOT / "config").rglob("*.md")]
    assert {str(page): broken for page in pages if (broken := broken_links(page))} == {}


def test_what_is_missing_is_found(tmp_path: Path) -> None:
    source = 'def f(s):\n    return s.integer("a_max", 1), s.text(key), s.done(), s.raw("tls")\n'
    assert list(options(source)) == ["a_max", "tls"]
    assert unmentioned(["a_max", "keys list", "b"], "a_max = 1", "keys listing b-c") == {
        "keys list", "b"}
    told = "run `relayd keys create, list`\nrelayd accounts create\nlist your usage"
    assert untold_commands(["keys list", "accounts create", "accounts list", "usage"], told) == {
        "accounts list", "usage"}
    page = tmp_path / "a.md"
    page.write_text("# One thing\n[x](b.md) [y](#one-thing) [z](#two) [w](https://x.test/)"
                    " [v](a.md#no)")
    assert broken_links(page) == ["b.md", "#two", "a.md#no"]
