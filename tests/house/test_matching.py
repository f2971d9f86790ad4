"""Modules and test files come in pairs: relayd/X/y.py, tests/X/test_y.py."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tests.shared import ROOT

EXEMPT = frozenset({"__init__.py", "__main__.py"})
OF_THE_WHOLE = ("bench/", "browser/", "e2e/", "fakes/", "house/", "http/", "long/", "packages/",
                "privacy/", "replay/", "systemd/")
"""Folders of tests that are about no single module of relayd/."""
MERGED: dict[str, str] = {
    "test_main.py": "__main__.py",
    "relay/test_hostile_connections.py": "relay/__init__.py",
    "relay/test_durable_answers.py": "relay/__init__.py",
    "relay/test_dense_bodies.py": "relay/__init__.py",
    "relay/test_usual_calls.py": "relay/__init__.py",
    "relay/test_let_go.py": "relay/__init__.py",
    "relay/test_simulation.py": "relay/__init__.py",
    "core/test_state_tables.py": "core/__init__.py",
    "wire/test_corpus.py": "wire/__init__.py",
    "wire/test_client_requests.py": "wire/__init__.py",
}
"""Test files that are named otherwise, or of a whole package, and what they are about."""


def unpaired(modules: Iterable[str], tests: Iterable[str]) -> tuple[set[str], set[str]]:
    """(modules without a test file, test files without a module), as paths below the two roots."""
    wanted = {_test_of(path) for path in modules if path.rpartition("/")[2] not in EXEMPT}
    have = {t for t in tests if t not in MERGED and not t.startswith(OF_THE_WHOLE)}
    return wanted - have, have - wanted


def _test_of(module: str) -> str:
    folder, slash, name = module.rpartition("/")
    return f"{folder}{slash}test_{name}"


def _below(root: Path, pattern: str) -> list[str]:
    return [p.relative_to(root).as_posix() for p in root.rglob(pattern)
            if "node_modules" not in p.parts]


def test_pairs() -> None:
    modules = _below(ROOT / "relayd", "*.py")
    tests = _below(ROOT / "tests", "test_*.py")
    assert unpaired(modules, tests) == (set(), set())
    assert set(MERGED) <= set(tests) and set(MERGED.values()) <= set(modules)


def test_what_is_missing_is_found() -> None:
    modules = ["app.py", "wire/sse.py", "wire/__init__.py", "__main__.py"]
    tests = ["test_app.py", "wire/test_sse.py", "http/test_requests.py"]
    assert unpaired(modules, tests) == (set(), set())
    assert unpaired([*modules, "core/key.py"], tests) == ({"core/test_key.py"}, set())
    assert unpaired(modules[1:], tests) == (set(), {"test_app.py"})
