"""The commands on operators."""

from __future__ import annotations

from tests.fakes.shell import Shell, shell

__all__ = ["shell"]
EMAIL = "op@example.org"


def test_granted_listed_and_revoked(shell: Shell) -> None:
    made = shell.json("accounts", "create", "--email", EMAIL)
    assert shell.json("operators", "grant", EMAIL, "--role", "support")["changed"]
    assert not shell.json("operators", "grant", EMAIL, "--role", "support")["changed"]
    shell.json("operators", "grant", EMAIL, "--role", "legal")
    assert shell.json("operators", "list") == [
        {"account": made["id"], "email": EMAIL, "roles": ["legal", "support"]}]
    assert "legal, support" in shell("operators", "list").out
    assert shell.json("operators", "revoke", EMAIL, "--role", "legal")["changed"]
    assert "has not the role" in shell("operators", "revoke", EMAIL, "--role", "legal").out
    actions = [each["action"] for each in shell.json("audit", "list")]
    assert actions.count("role.give") == 2 and actions.count("role.take") == 1


def test_what_is_refused(shell: Shell) -> None:
    shell.json("accounts", "create", "--email", EMAIL)
    assert shell("operators", "grant", EMAIL, "--role", "admin").code == 2
    assert shell("operators", "grant", EMAIL).code == 2
    assert shell("operators", "grant", "nobody@example.org", "--role", "legal").code == 2
    assert shell("operators", "grant", "--role", "legal").code == 2
