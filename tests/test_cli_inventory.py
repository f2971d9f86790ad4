"""`relayd inventory`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.shell import Shell


def test_for_people_and_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shell = Shell(tmp_path, capsys)
    shell.config.write_text(shell.config.read_text() + "[retention]\nnetwork_records_days = 222\n")
    assert "222 days" in shell("inventory").out
    listed = shell("inventory", "--fields").out
    shown = shell.json("inventory")
    assert {each["id"] for each in shown["categories"]} >= {"content", "account", "network"}
    assert "accounts.email" in listed and "accounts.email" in {
        each["name"] for each in shown["fields"]}
    exported = sum(each["export"] for each in shown["fields"])
    assert 0 < exported == sum(line.split()[-2] == "yes" for line in listed.splitlines())
    assert not shell.store.exists()  # it opens none
