"""The program: its table of commands, its exit codes, and that it starts as a module."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from importlib import import_module

import pytest

from relayd import __version__
from relayd.cli import GROUPS, MODULES, commands, main
from tests.fakes.records import call_record
from tests.fakes.shell import Shell, shell

__all__ = ["shell"]
PROMISED = """
accounts create, accounts list, accounts suspend, accounts resume, accounts erase, accounts export,
keys create, keys list, keys rotate, keys revoke, usage, ledger verify
"""


def test_every_promised_command_is_there() -> None:
    names = {command.name for command in commands()}
    assert {name.strip() for name in PROMISED.split(",")} <= names
    assert {name.split()[0] for name in names if " " in name} == set(GROUPS)


@pytest.mark.parametrize("name", [command.name for command in commands()])
def test_every_command_has_help_for_people(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*name.split(), "--help"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0 and "-c FILE" in shown
    [command] = [each for each in commands() if each.name == name]
    assert " ".join(command.help.split()) in " ".join(shown.split())


def test_it_says_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0 and capsys.readouterr().out == f"relayd {__version__}\n"


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


def plainly() -> dict[str, str]:
    """An environment in which asyncio does not tell how long a step took."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONASYNCIODEBUG"}


def test_a_full_disk_behind_the_output_is_told_in_a_line(shell: Shell) -> None:
    command = [sys.executable, "-m", "relayd", "accounts", "list", "-c", str(shell.config)]
    with open("/dev/full", "wb") as full:
        ended = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, timeout=60, env=plainly())
    assert (ended.returncode, ended.stderr) == (1, b"relayd: No space left on device\n")


def test_a_closed_output_is_nobody_who_reads(shell: Shell) -> None:
    command = f"exec {sys.executable} -m relayd accounts list -c {shell.config} >&-"
    ended = subprocess.run(
        ["/bin/sh", "-c", command], stderr=subprocess.PIPE, timeout=60, env=plainly())
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_a_closed_input_and_nobody_to_complain_to(shell: Shell) -> None:
    command = f"exec {sys.executable} -m relayd reflect -c {shell.config} <&- 2>&-"
    ended = subprocess.run(["/bin/sh", "-c", command], stdout=subprocess.PIPE, timeout=60)
    assert ended.returncode == 2 and ended.stdout.startswith(b"refused: bad_http")


@pytest.mark.parametrize("words", [
    ("usage",), ("orders", "list"), ("invoices", "list"), ("audit", "list"), ("keys", "list"),
])
def test_an_empty_name_is_nobody_s_and_not_everybody_s(
    shell: Shell, words: tuple[str, ...],
) -> None:
    assert shell(*words, "--account", "") == (
        2, "", "relayd: account: There is no such account.\n")


@pytest.mark.parametrize(("words", "advice"), [
    (("top", "--every", "0"), "give 0.1 to 3600 seconds"),
    (("top", "--every", "nan"), "give 0.1 to 3600 seconds"),
    (("usage", "--tolerance", "x"), "give a share from 0 to 1"),
    (("keys", "rotate", "k", "--grace", "1d"), "give 0 to 31536000 seconds"),
    (("demo", "--port", "99999"), "give a port, 0 to 65535"),
    (("demo", "--port", "-1"), "give a port, 0 to 65535"),
])
def test_an_option_says_what_it_takes(
    shell: Shell, words: tuple[str, ...], advice: str,
) -> None:
    code, _, err = shell(*words)
    assert code == 2 and advice in err


def test_an_interrupted_command_says_nothing(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(path: object, **_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("relayd.ops.configfile.load", interrupt)
    assert shell("accounts", "list") == (130, "", "")


@pytest.mark.parametrize("module", MODULES)
def test_a_module_says_the_first_words_of_its_commands(module: str) -> None:
    own = import_module(f"relayd.{module}").COMMANDS
    assert set(MODULES[module]) == {command.name.split(" ")[0] for command in own}


def test_a_command_does_not_wait_for_the_others_modules() -> None:
    script = ("import sys; from relayd.cli import main\n"
              "try: main(['usage', '--help'])\n"
              "except SystemExit: pass\n"
              "assert 'relayd.app' not in sys.modules and 'aiohttp' not in sys.modules")
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def test_nothing_is_collected_while_a_command_is_loaded() -> None:
    script = ("import gc, sys; from relayd.cli import main\n"
              "early = []\n"
              "def told(phase, info):\n"
              "    early.append(not hasattr(sys.modules.get('relayd.cli_serve'), 'COMMANDS'))\n"
              "gc.callbacks.append(told)\n"
              "try: main(['serve', '--help'])\n"
              "except SystemExit: pass\n"
              "assert not any(early) and gc.isenabled()")
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def test_a_word_that_nobody_knows_is_told_with_all_that_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["nonsense"])
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert "accounts" in said and "serve" in said


@pytest.mark.parametrize("words", ["--help", "usage --help", "--version"])
def test_help_that_nobody_reads_to_its_end(words: str) -> None:
    # true has ended before anything is written; nothing of it reaches stderr
    command = f"(sleep 1; exec {sys.executable} -m relayd {words}) | true"
    ended = subprocess.run(["/bin/sh", "-c", command], stderr=subprocess.PIPE, timeout=60)
    assert ended.stderr == b""
    with open("/dev/full", "wb") as full:
        ended = subprocess.run([sys.executable, "-m", "relayd", *words.split()], stdout=full,
                               stderr=subprocess.PIPE, timeout=60)
    assert (ended.returncode, ended.stderr) == (1, b"relayd: No space left on device\n")


def test_a_terminal_that_has_not_every_character(shell: Shell) -> None:
    shell.json("accounts", "create", "--email", "ann@example.org", "--name", "你 ä")
    command = [sys.executable, "-m", "relayd", "accounts", "list", "-c", str(shell.config)]
    latin = {**plainly(), "PYTHONIOENCODING": "latin-1"}
    table = subprocess.run(command, env=latin, capture_output=True, timeout=60)
    assert (table.returncode, table.stderr) == (0, b"") and rb"\u4f60 " + b"\xe4" in table.stdout
    document = subprocess.run([*command, "--json"], env=latin, capture_output=True, timeout=60)
    assert document.returncode == 0 and json.loads(document.stdout)[0]["name"] == "你 ä"


@pytest.mark.parametrize(("words", "nothing"), [
    (("accounts", "erase", "ann@example.org"), "Nothing was erased."),
    (("documents", "publish", "privacy", "--kind", "editorial"), "Nothing was published.")])
def test_a_question_is_asked_at_a_terminal_and_stays_out_of_the_document(
    shell: Shell, words: tuple[str, ...], nothing: str
) -> None:
    shell.json("accounts", "create", "--email", "ann@example.org")
    for answer, code in ((b"no\n", 2), (b"yes\n", 0)):
        ours, theirs = os.openpty()
        with open(theirs, "rb", buffering=0) as terminal, open(ours, "wb", buffering=0) as keys:
            keys.write(answer)
            done = subprocess.run(
                [sys.executable, "-m", "relayd", *words, "--json", "-c", str(shell.config)],
                stdin=terminal, capture_output=True, timeout=60, check=False)
        assert done.returncode == code and b"? Type yes: " in done.stderr
        assert (nothing.encode() in done.stderr) is (code == 2)
        assert done.stdout == b"" if code else json.loads(done.stdout)


def test_a_question_that_is_answered_by_the_end_of_input(
    shell: Shell, monkeypatch: pytest.MonkeyPatch,
) -> None:
    shell.json("accounts", "create", "--email", "ann@example.org")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    result = shell("accounts", "erase", "ann@example.org")
    assert result.code == 2 and result.out == ""
    assert result.err == "Erase ann@example.org for good? Type yes: relayd: Nothing was done.\n"
    assert len(shell.json("accounts", "list")) == 1
