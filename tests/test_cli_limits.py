"""The commands that show and change limits."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.shell import Shell, shell

__all__ = ["shell"]
EMAIL = "ann@example.org"
NONE = dict.fromkeys(("requests_per_minute", "tokens_per_minute", "concurrent", "daily_budget",
                      "monthly_budget"))


@pytest.fixture
def made(shell: Shell) -> dict[str, Any]:
    """The document of a new key, of an account with EMAIL."""
    shell.json("accounts", "create", "--email", EMAIL)
    document: dict[str, Any] = shell.json("keys", "create", "--account", EMAIL, "--name", "n")
    return document


def test_an_account_s_limits(shell: Shell, made: dict[str, Any]) -> None:
    assert shell.json("accounts", "limit", EMAIL) == {"id": made["account"], "limits": NONE}
    changed = shell.json("accounts", "limit", EMAIL, "--requests-per-minute", "60",
                         "--daily-budget", "2.5", "--concurrent", "0")
    assert changed["limits"] == {
        **NONE, "requests_per_minute": 60, "daily_budget": "2.50", "concurrent": 0}
    changed = shell.json("accounts", "limit", "--account", EMAIL, "--daily-budget", "default")
    assert changed["limits"] == {**NONE, "requests_per_minute": 60, "concurrent": 0}
    assert shell.json("accounts", "limit", made["account"]) == changed


@pytest.mark.parametrize("naming", ["id", "--key", "key"])
def test_a_key_s_limits(shell: Shell, made: dict[str, Any], naming: str) -> None:
    words = ("--key", made["id"]) if naming == "--key" else (made[naming],)
    changed = shell.json("keys", "limit", *words, "--tokens-per-minute", "1000")
    assert changed == {"id": made["id"], "limits": {**NONE, "tokens_per_minute": 1000}}


def test_a_table_for_people(shell: Shell, made: dict[str, Any]) -> None:
    result = shell("accounts", "limit", EMAIL, "--concurrent", "0", "--monthly-budget", "40")
    assert result.code == 0
    assert [line.split("  ")[0].rstrip() + "=" + line.split()[-1]
            for line in result.out.splitlines()] == [
        "LIMIT=OWN", "requests per minute=default", "tokens per minute=default",
        "concurrent=none", "daily budget=default", "monthly budget=40.00"]


@pytest.mark.parametrize("words", [
    ("accounts", "limit"), ("keys", "limit"), ("accounts", "limit", "nobody@example.org"),
    ("keys", "limit", "key_1"), ("accounts", "limit", EMAIL, "--concurrent", "-1"),
    ("accounts", "limit", EMAIL, "--concurrent", "many"),
    ("accounts", "limit", EMAIL, "--daily-budget", "1e3"),
])
def test_unusable_input_is_exit_code_2_with_words(
    shell: Shell, made: dict[str, Any], words: tuple[str, ...]
) -> None:
    result = shell(*words)
    assert result.code == 2 and result.err and not result.out
    assert "many" not in result.err.replace("how many", "")
