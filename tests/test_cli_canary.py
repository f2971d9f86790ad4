"""The command audit-canary: what it needs. What it finds is in tests/privacy/test_memory.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from relayd.cli_canary import _near, _temporary
from tests.fakes.shell import Shell, shell

__all__ = ["shell"]


def test_models_have_to_be_named(shell: Shell) -> None:
    result = shell("audit-canary", "--key", "sk-relayd-x")
    assert result.code == 2 and "--model" in result.err


def test_a_key_has_to_be_given(shell: Shell) -> None:
    assert shell("audit-canary").code == 2


def test_nobody_answers(shell: Shell) -> None:
    shell.config.write_text(
        '[server]\nlisten = ["127.0.0.1:1"]\n[ops]\nlisten = "127.0.0.1:2"\n'
        '[store]\npath = "store"\n')
    result = shell("audit-canary", "--key", "sk-relayd-x", "--model", "m")
    assert result.code == 1 and "does not answer" in result.err
    assert not (shell.store / "canary-report.json").exists()


@pytest.mark.parametrize(("listen", "near"), [
    ("0.0.0.0:80", "127.0.0.1:80"), ("[::]:80", "[::1]:80"), ("10.0.0.1:80", "10.0.0.1:80"),
    ("unix:/run/x", "unix:/run/x")])
def test_where_a_listener_is_reached(listen: str, near: str) -> None:
    assert _near(listen) == near


def test_temporary_folders_are_this_machine_s() -> None:
    assert Path("/tmp") in list(_temporary([]))
