"""Faults: how they read, and in which order."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.ops.configfile_fault import (
    ConfigError, Fault, Findings, dotted, in_order, nearest,
)


@pytest.mark.parametrize(("path", "text"), [
    (("server", "listen", 0), "server.listen[0]"),
    (("routes", "gpt-4o", "deployments", 1, "model"), "routes.gpt-4o.deployments[1].model"),
    (("routes", "claude-*"), 'routes."claude-*"'),
    (("routes", 'a"b\n'), 'routes."a\\"b\\u000A"'),
    ((), ""),
])
def test_dotted(path: tuple[str | int, ...], text: str) -> None:
    assert dotted(path) == text


@given(st.lists(st.text(st.characters(blacklist_categories=["Cs"])), min_size=1, max_size=4))
def test_dotted_is_toml(names: list[str]) -> None:
    value: object = tomllib.loads(f"{dotted(tuple(names))} = 1")
    for name in names:
        assert isinstance(value, dict) and list(value) == [name]
        value = value[name]
    assert value == 1


def test_fault_reads_as_a_line() -> None:
    assert str(Fault("a.b", 3, "is wrong", "Write c")) == "line 3: a.b: is wrong. Write c"
    assert str(Fault("", None, "is no file", "")) == "is no file"


def test_error_holds_every_fault() -> None:
    error = ConfigError([Fault("a", 1, "x", ""), Fault("b", 2, "y", "")])
    assert str(error) == "line 1: a: x\nline 2: b: y"
    assert [fault.key for fault in error.faults] == ["a", "b"]
    named = ConfigError(error.faults, "x.toml")
    assert str(named) == "x.toml: line 1: a: x\nx.toml: line 2: b: y"
    missing = ConfigError([Fault("", None, "the file x.toml cannot be read", "")], "x.toml")
    assert str(missing) == "the file x.toml cannot be read"


def test_line_of_a_missing_key_is_its_tables() -> None:
    findings = Findings({("providers",): 1, ("providers", "x"): 4})
    findings.fault(("providers", "x", "api"), "is missing")
    findings.warning(("limits", "concurrent"), "is not enforced")
    assert findings.faults[0].line == 4
    assert findings.warnings[0].line is None


def test_in_order() -> None:
    faults = [Fault("a", None, "", ""), Fault("b", 9, "", ""), Fault("c", 2, "", "")]
    assert [fault.key for fault in in_order(faults)] == ["c", "b", "a"]


@pytest.mark.parametrize(("name", "offer"), [
    ("lsiten", "Did you mean 'listen'?"),
    ("API_KEY", "Did you mean 'credential'?"),
    ("zzz", "Known here: credential, listen"),
])
def test_nearest(name: str, offer: str) -> None:
    assert nearest(name, ["listen", "credential"], {"api_key": "credential"}) == offer


def test_nearest_without_names() -> None:
    assert nearest("x", []) == ""
