"""The commands on API keys."""

from __future__ import annotations

import re

import pytest

from tests.fakes.shell import Shell, shell

__all__ = ["shell"]
EMAIL = "ann@example.org"


@pytest.fixture
def account(shell: Shell) -> str:
    """The id of an account with EMAIL."""
    return str(shell.json("accounts", "create", "--email", EMAIL)["id"])


def test_create_prints_the_contracts_document(shell: Shell, account: str) -> None:
    made = shell.json("keys", "create", "--account", EMAIL, "--name", "laptop")
    assert list(made) == ["id", "account", "name", "key", "created_at"]
    assert made["account"] == account and made["name"] == "laptop"
    assert re.fullmatch(r"sk-relayd-[0-9A-Za-z]{43,}", made["key"])
    listed = shell("keys", "list")
    assert made["id"] in listed.out and account in listed.out and made["key"] not in listed.out


def test_a_person_sees_the_key_once(shell: Shell, account: str) -> None:
    result = shell("keys", "create", "--account", account, "--name", "laptop")
    assert re.search(r"^    sk-relayd-\w{49}$", result.out, re.MULTILINE) and "once" in result.out


def test_rights(shell: Shell, account: str) -> None:
    shell.json("keys", "create", "--account", EMAIL, "--name", "n", "--app", "editor",
               "--models", "a, b", "--models", "claude-*", "--expires", "2999-01-01")
    [listed] = shell.json("keys", "list", "--account", EMAIL)
    assert listed["models"] == ["a", "b", "claude-*"] and listed["app"] == "editor"
    assert listed["expires_at"] == "2999-01-01T00:00:00.000Z"


@pytest.mark.parametrize("naming", ["id", "--key", "key"])
def test_revoke(shell: Shell, account: str, naming: str) -> None:
    made = shell.json("keys", "create", "--account", EMAIL, "--name", "n")
    words = ("--key", made["id"]) if naming == "--key" else (made[naming],)
    assert shell.json("keys", "revoke", *words)["state"] == "revoked"


def test_rotate(shell: Shell, account: str) -> None:
    old = shell.json("keys", "create", "--account", EMAIL, "--name", "n")
    new = shell.json("keys", "rotate", old["id"], "--grace", "60")
    assert new["replaces"] == old["id"] and new["key"] != old["key"]
    states = {each["id"]: each for each in shell.json("keys", "list")}
    assert states[old["id"]]["expires_at"] and states[old["id"]]["state"] == "active"
    last = shell("keys", "rotate", new["id"], "--grace", "0")
    assert last.code == 0 and "is revoked" in last.out
    assert shell("keys", "rotate", new["id"]).code == 2


@pytest.mark.parametrize("words", [
    ("create", "--account", EMAIL), ("create", "--account", "x@y", "--name", "n"),
    ("create", "--account", EMAIL, "--name", "n", "--expires", "2001-01-01"),
    ("create", "--account", EMAIL, "--name", "n", "--models", ","),
    ("rotate", "key_1", "--grace", "-1"), ("revoke",), ("revoke", "key_1"),
    ("list", "--account", "x@y"),
])
def test_unusable_input_is_exit_code_2_with_words(
    shell: Shell, account: str, words: tuple[str, ...]
) -> None:
    result = shell("keys", *words)
    assert result.code == 2 and result.err and not result.out
