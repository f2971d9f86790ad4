"""Everything has a limit, the limit has a name, and a test reaches it by that name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

from relayd.core.provider import Provider, Timeouts
from relayd.ops.config import MeteringConfig, ServerConfig, StoreConfig
from tests.shared import ROOT

LIMIT = re.compile(r"(?:\w+_)?(?:max|bytes|seconds)(?:_\w+)?|connect|first_byte|idle|total")
READERS = ("tests/ops/test_configfile", "tests/house/", "tests/test_cli")
"""Tests that the file is read right: they do not reach a limit."""


def limits(*types: type) -> list[str]:
    """The fields of these dataclasses that are limits, by their names."""
    return [f.name for kind in types for f in fields(kind) if LIMIT.fullmatch(f.name)]


def unreached(names: Iterable[str], texts: Iterable[str]) -> list[str]:
    """The names that no text gives a value: as an argument, a keyword or a key."""
    whole = "\n".join(texts)
    return [n for n in names if not re.search(rf"\b{n}\b[\"']?\s*(?:=|:)", whole)]


def _test_texts() -> Iterable[str]:
    for path in sorted((ROOT / "tests").rglob("*.py")):
        if not path.relative_to(ROOT).as_posix().startswith(READERS):
            yield path.read_text("utf-8")


def test_every_limit_is_reached_by_a_test() -> None:
    names = limits(ServerConfig, StoreConfig, MeteringConfig, Provider, Timeouts)
    assert len(names) > 12
    assert unreached(names, _test_texts()) == []


def test_a_limit_without_a_test_is_found() -> None:
    assert limits(ServerConfig)[0] == "max_body_bytes"
    texts = ["ServerConfig(head_bytes_max=100)", "{'idle_seconds': 1}", "# body_seconds"]
    names = ["head_bytes_max", "idle_seconds", "body_seconds", "bytes_max"]
    assert unreached(names, texts) == ["body_seconds", "bytes_max"]


def test_readers_exist() -> None:
    paths = [p.relative_to(ROOT).as_posix() for p in (Path(ROOT) / "tests").rglob("*.py")]
    assert all(any(path.startswith(reader) for path in paths) for reader in READERS)
