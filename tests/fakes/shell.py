"""Runs commands in this process, on a store in a temporary directory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from relayd.cli import main
from relayd.control import usage
from relayd.core.record import CallRecord
from relayd.store.db import open_database


class Result(NamedTuple):
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


class Shell:
    """`shell("accounts", "list")` runs a command with -c; `json(...)` reads what it prints."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.store = directory / "store"
        self.config = directory / "relayd.toml"
        self.config.write_text('[store]\npath = "store"\n')
        self._capsys = capsys

    def __call__(self, *words: str) -> Result:
        """Run to the end; arguments that argparse refuses give its exit code."""
        self._capsys.readouterr()
        try:
            code = main([*words, "-c", str(self.config)])
        except SystemExit as ended:
            code = int(ended.code or 0)
        return Result(code, *self._capsys.readouterr())

    def json(self, *words: str) -> Any:
        """The document that the command prints with --json; it must succeed in silence."""
        result = self(*words, "--json")
        assert (result.code, result.err) == (0, ""), result
        return json.loads(result.out)

    def post(self, records: Sequence[CallRecord]) -> None:
        """Store call records, as the daemon would."""

        async def work() -> None:
            db = await open_database(self.store)
            await usage.post(db, records)
            await db.close()

        asyncio.run(work())


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    """A shell with a configuration file and no store yet."""
    return Shell(tmp_path, capsys)
