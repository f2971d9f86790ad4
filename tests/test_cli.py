"""The program: its table of commands, its exit codes, and that it starts as a module."""

from __future__ import annotations

import subprocess
import sys

import pytest

from relayd.cli import COMMANDS, GROUPS, main
from tests.fakes.records import call_record
from tests.fakes.shell import Shell, shell

__all__ = ["shell"]
PROMISED = """
accounts create, accounts list, accounts suspend, accounts resume, accounts erase, accounts export,
keys create, keys list, keys rotate, keys revoke, usage, ledger verify
"""


def test_every_promised_command_is_there() -> None:
    names = {command.name for command in COMMANDS}
    assert {name.strip() for name in PROMISED.split(",")} <= names
    assert {name.split()[0] for name in names if " " in name} == set(GROUPS)


@pytest.mark.parametrize("name", [command.name for command in COMMANDS])
def test_every_command_has_help_for_people(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*name.split(), "--help"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0 and "-c FILE" in shown
    [command] = [each for each in COMMANDS if each.name == name]
    assert " ".join(command.help.split()) in " ".join(shown.split())


def test_the_variable_names_the_configuration(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RELAYD_CONFIG", str(shell.config))
    assert main(["accounts", "list", "--json"]) == 0
    assert capsys.readouterr().out == "[]\n"


def test_a_reader_that_stops_early_is_no_error(shell: Shell) -> None:
    shell.post([call_record() for _ in range(3000)])
    command = [sys.executable, "-m", "relayd", "usage", "--calls", "-c", str(shell.config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline().startswith(b"STARTED")
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


def test_an_interrupted_command_says_nothing(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(path: object, **_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("relayd.ops.configfile.load", interrupt)
    assert shell("accounts", "list") == (130, "", "")
