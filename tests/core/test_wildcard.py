"""Patterns of names, against the regular expressions that say the same, and what they cost."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.wildcard import Wildcard

TEXT = st.text("ab-", max_size=12)


@given(st.text("ab-*", max_size=8), TEXT)
def test_it_says_what_a_regular_expression_says(pattern: str, name: str) -> None:
    meant = re.compile(".*".join(re.escape(part) for part in pattern.split("*")))
    assert Wildcard(pattern).stands_for(name) == (meant.fullmatch(name) is not None)


@pytest.mark.parametrize(("pattern", "name", "stands"), [
    ("claude-*", "claude-opus", True), ("claude-*", "claude-", True),
    ("claude-*", "claude", False),
    ("*-mini", "gpt-4o-mini", True), ("gpt-*-mini", "gpt-4o-mini", True),
    ("gpt-*-mini", "gpt-mini", False), ("ab*ba", "aba", False), ("*", "", True), ("**", "x", True),
    ("plain", "plain", True), ("plain", "plainer", False), ("a.c*", "abc", False),
    ("*a*a*", "a", False), ("*a*a*", "aa", True),
])
def test_patterns(pattern: str, name: str, stands: bool) -> None:
    assert Wildcard(pattern).stands_for(name) is stands


def test_no_name_takes_long() -> None:
    pattern, before = Wildcard("*-*-*-*-*-*x"), time.perf_counter()
    assert not pattern.stands_for("-" * 256)
    assert time.perf_counter() - before < 0.1
