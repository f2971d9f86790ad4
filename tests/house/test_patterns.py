"""No pattern is possessive or atomic: Python before 3.11.5 matches those wrongly (gh-106052)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.shared import ROOT

LITERAL = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
BANNED = re.compile(r"[*+?}]\+|\(\?>")


def patterns(source: str) -> Iterator[tuple[int, str]]:
    """(line, text) of what stands in calls of `re.compile`."""
    for call in ast.walk(ast.parse(source)):
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "re.compile":
            for node in ast.walk(call):
                if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
                    text = node.value
                    yield node.lineno, text if isinstance(text, str) else text.decode("latin-1")


def is_banned(pattern: str) -> bool:
    """Whether it has such a part, outside of sets and escapes."""
    return BANNED.search(LITERAL.sub("x", pattern)) is not None


def test_patterns_are_of_the_kind_that_every_python_matches() -> None:
    found = [(path.relative_to(ROOT).as_posix(), line)
             for folder in ("relayd", "tools", "bench")
             for path in (ROOT / folder).rglob("*.py")
             if "node_modules" not in path.parts
             for line, text in patterns(path.read_text("utf-8")) if is_banned(text)]
    assert found == []


@pytest.mark.parametrize(("pattern", "banned"), [
    (r"a*+b", True), (r"(?>a|b)", True), (r"(?:ab)++", True), (r"a{2}+", True), (r"a?+", True),
    (r"[*+]+", False), (r"a\++", False), (r"a+?b", False), (r"[]*+]a+", False),
    (r"(?:a)+", False), (r"[^\]*+]", False),
])
def test_what_is_banned(pattern: str, banned: bool) -> None:
    assert is_banned(pattern) is banned
    assert [text for _, text in patterns(f"import re\nre.compile(rb{pattern!r})")]
