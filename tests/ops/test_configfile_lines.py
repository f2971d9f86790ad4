"""The line finder against tomllib: every key that tomllib reads has its line."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.ops.configfile_fault import Path, dotted
from relayd.ops.configfile_lines import key_lines

TEXT = '''\
# [not.a.table]
title = "a # no comment = [x]"   # comment = 1

[server]
listen = [
  "127.0.0.1:1",   # first, ]
  "[::1]:2",
]
tls = { certificate = "a]", key = 'b}' }

[providers."my.one"]
timeouts.connect = 1
timeouts."first_byte" = 2
text = """
[fake]
fake = 1
"""
raw = \'\'\'
[fake2]\'\'\'
when = 1979-05-27T07:32:00Z

[[routes.x.deployments]]
provider = "a"
[[routes.x.deployments]]
provider = "b"
[routes.x.deployments.more]
deep = [[1, 2], [{ a = 3 }]]
'''


@pytest.mark.parametrize(("path", "line"), [
    (("title",), 2),
    (("server",), 4),
    (("server", "listen"), 5),
    (("server", "listen", 0), 6),
    (("server", "listen", 1), 7),
    (("server", "tls"), 9),
    (("server", "tls", "key"), 9),
    (("providers", "my.one"), 11),
    (("providers", "my.one", "timeouts", "connect"), 12),
    (("providers", "my.one", "timeouts", "first_byte"), 13),
    (("providers", "my.one", "text"), 14),
    (("providers", "my.one", "raw"), 18),
    (("providers", "my.one", "when"), 20),
    (("routes", "x", "deployments", 0, "provider"), 23),
    (("routes", "x", "deployments", 1), 24),
    (("routes", "x", "deployments", 1, "provider"), 25),
    (("routes", "x", "deployments", 1, "more", "deep"), 27),
    (("routes", "x", "deployments", 1, "more", "deep", 1, 0, "a"), 27),
])
def test_lines(path: Path, line: int) -> None:
    assert key_lines(TEXT)[path] == line


def test_strings_and_comments_hold_no_keys() -> None:
    names = {part for path in key_lines(TEXT) for part in path}
    assert not names & {"fake", "fake2", "not", "comment"}


_NAMES = st.text(st.characters(blacklist_categories=["Cs"]), max_size=8)
_SCALARS = st.one_of(st.integers(-9, 9), st.booleans(), st.floats(0, 9), _NAMES)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=6)


def write(value: object) -> str:
    """TOML of a value."""
    if isinstance(value, str):
        return dotted((value + " ",))  # the space makes it quoted
    if isinstance(value, list):
        return "[ # ]\n" + ",\n".join(write(item) for item in value) + "\n]"
    if isinstance(value, dict):
        pairs = (f"{dotted((key,))} = {write(item)}" for key, item in value.items())
        return "{ " + ", ".join(pairs) + " }"
    return str(value).lower()


def paths(value: object, path: Path = ()) -> set[Path]:
    """Every path of a value."""
    parts: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        parts = list(value.items())
    elif isinstance(value, list):
        parts = list(enumerate(value))
    return {path} | {deep for part, item in parts for deep in paths(item, (*path, part))}


@given(st.dictionaries(_NAMES, st.dictionaries(_NAMES, _VALUES, max_size=4), max_size=4))
def test_finds_every_key_that_tomllib_reads(tables: dict[str, dict[str, object]]) -> None:
    text = ""
    for name, table in tables.items():
        text += f"[{dotted((name,))}]\n"
        text += "".join(f"{dotted((key,))} = {write(item)}\n" for key, item in table.items())
    values = tomllib.loads(text)
    assert key_lines(text).keys() == paths(values) - {()}


@given(st.text())
def test_ends_on_any_text(text: str) -> None:
    key_lines(text)
