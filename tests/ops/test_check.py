"""`relayd check`: exit codes and texts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from relayd.ops.check import check
from tests.ops.test_configfile import MINIMAL


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    path = tmp_path / "relayd.toml"
    path.write_text(MINIMAL)
    return path


def test_usable(path: Path) -> None:
    assert check(path) == (
        0, f"{path}: usable: 1 provider, 1 route, listens on 127.0.0.1:8080\n")


def test_warnings_do_not_change_the_exit_code(path: Path) -> None:
    path.write_text(MINIMAL.replace("https://api.openai.com", "http://api.openai.com"))
    code, text = check(path)
    assert code == 0
    assert text.startswith("warning: line 4: providers.openai.base_url: ")


def test_faults(path: Path) -> None:
    path.write_text(MINIMAL + "[limits]\nrpm = 1\nconcurrent = -1\n")
    code, text = check(path)
    assert code == 2
    assert text.splitlines() == [
        "fault: line 9: limits.rpm: is not a known key. Did you mean 'requests_per_minute'?",
        "fault: line 10: limits.concurrent: is out of range. "
        "It takes a whole number from 0 to 1000000000000",
        f"{path}: not usable: 2 faults"]


def test_json(path: Path) -> None:
    assert json.loads(check(path, as_json=True)[1]) == {
        "file": str(path), "usable": True, "faults": [], "warnings": []}
    path.write_text("x = 1")
    code, text = check(path, as_json=True)
    found = json.loads(text)
    assert code == 2 and not found["usable"]
    assert found["faults"][0] | {"remedy": ""} == {
        "key": "x", "line": 1, "problem": "is not a known key", "remedy": ""}
    assert len(found["warnings"]) == 2


def test_missing_file(tmp_path: Path) -> None:
    code, text = check(tmp_path / "none.toml")
    assert code == 2 and "No such file" in text


def test_credentials_are_looked_at_and_never_shown(
    path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "sk-canary" not in check(path)[1]
    monkeypatch.delenv("OPENAI_API_KEY")
    assert check(path)[0] == 2


def test_systemd_credentials_cannot_be_seen_from_a_shell(
    path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    path.write_text(MINIMAL.replace('env = "OPENAI_API_KEY"', 'systemd = "openai"'))
    code, text = check(path)
    assert code == 0 and "inside the service only" in text
