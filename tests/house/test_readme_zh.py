"""README.zh.md has the code, the commands and the sections of README.md."""

from __future__ import annotations

import re

from tests.shared import ROOT

BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"(?:^|\s)#\s.*$")
NOTE = re.compile(r"  +\S.*$")
"""What stands behind code in a block without a language."""


def page(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def code(text: str) -> list[list[str]]:
    """The lines of every block, without comments."""
    found = []
    for block in BLOCK.findall(text):
        mark = NOTE if block.startswith("```\n") else COMMENT
        found.append([mark.sub("", line).rstrip() for line in block.splitlines()])
    return found


def prose(text: str) -> str:
    return BLOCK.sub("", text)


def test_the_code_is_the_same() -> None:
    english, chinese = code(page("README.md")), code(page("README.zh.md"))
    assert len(english) > 6 and english == chinese


def rows(text: str) -> list[str]:
    """The first cells, with commands, of the tables."""
    return re.findall(r"^\| (`relayd [^|]*) \|", prose(text), re.MULTILINE)


def test_the_commands_in_tables_are_the_same() -> None:
    english = rows(page("README.md"))
    assert len(english) > 10 and rows(page("README.zh.md")) == english


def test_the_make_targets_are_the_same() -> None:
    def targets(text: str) -> set[str]:
        return set(re.findall(r"`(make [a-z-]+)`", prose(text)))

    assert targets(page("README.zh.md")) == targets(page("README.md"))


def test_the_sections_are_as_many() -> None:
    def levels(text: str) -> list[str]:
        return re.findall(r"^(#+) ", prose(text), re.MULTILINE)

    assert levels(page("README.zh.md")) == levels(page("README.md"))


def test_words_of_code_are_ones_of_the_english_page() -> None:
    def words(text: str) -> set[str]:
        return set(re.findall(r"`([^`\n]+)`", prose(text)))

    assert words(page("README.zh.md")) - words(page("README.md")) == set()
