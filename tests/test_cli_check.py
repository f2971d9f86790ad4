"""The command `relayd check`, through its table row."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from relayd.cli_check import COMMANDS
from relayd.cli_command import build_parser


def run(*argv: str) -> int:
    arguments = build_parser("relayd", "", {}, COMMANDS).parse_args(argv)
    return int(arguments.run(arguments))


def test_usable_goes_to_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "relayd.toml"
    path.write_text("")
    assert run("check", "-c", str(path)) == 0
    captured = capsys.readouterr()
    assert "usable" in captured.out and not captured.err


def test_faults_go_to_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "relayd.toml"
    path.write_text("x = 1")
    monkeypatch.setenv("RELAYD_CONFIG", str(path))
    assert run("check") == 2
    captured = capsys.readouterr()
    assert "line 1: x: is not a known key" in captured.err and not captured.out


def test_json_goes_to_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "relayd.toml"
    path.write_text("x = 1")
    assert run("check", "-c", str(path), "--json") == 2
    captured = capsys.readouterr()
    assert json.loads(captured.out)["faults"][0]["key"] == "x" and not captured.err
