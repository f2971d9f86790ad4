"""The commands that show balances and credit lines."""

from __future__ import annotations

from tests.fakes.shell import Shell, shell

__all__ = ["shell"]
EMAIL = "ann@example.org"


def test_a_credit_line_is_shown_and_changed(shell: Shell) -> None:
    shell.json("accounts", "create", "--email", EMAIL)
    assert shell.json("balance", "show", EMAIL) == []
    shown = [{"currency": "USD", "balance": "0.00", "balance_nano": 0, "credit": "2.50"}]
    assert shell.json("balance", "credit", EMAIL, "--amount", "2.50") == shown
    assert shell.json("balance", "show", "--account", EMAIL) == shown
    table = shell("balance", "show", EMAIL)
    assert table.out.split() == ["CURRENCY", "BALANCE", "CREDIT", "USD", "0.00", "2.50"]


def test_bad_amounts_are_refused(shell: Shell) -> None:
    shell.json("accounts", "create", "--email", EMAIL)
    for amount in ("-1", "x", "1e3", ""):
        assert shell("balance", "credit", EMAIL, f"--amount={amount}").code == 2
    assert shell("balance", "credit", EMAIL, "--amount", "1", "--currency", "dollars").code == 2
    assert shell("balance", "show", "nobody@example.org").code == 2
