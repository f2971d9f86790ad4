"""The commands that record what holders agreed to elsewhere."""

from __future__ import annotations

from tests.fakes.shell import Shell, shell

__all__ = ["shell"]
EMAIL = "ann@example.org"


def test_a_consent_is_given_and_withdrawn(shell: Shell) -> None:
    made = shell.json("accounts", "create", "--email", EMAIL)["id"]
    early = shell("consents", "give", EMAIL, "--item", "overseas_routes")
    assert early.code == 2 and "no such document" in early.err
    shell.json("documents", "publish", "privacy", "--kind", "editorial")
    assert shell.json("consents", "give", EMAIL, "--item", "overseas_routes") == {
        "account": made, "item": "overseas_routes", "act": "agreed"}
    assert "is withdrawn" in shell("consents", "withdraw", made, "--item", "overseas_routes").out
    rows = shell.json("consents", "list", EMAIL)
    assert [(row["act"], row["channel"]) for row in rows] == [
        ("explicit", "shell"), ("withdrawn", "shell")]
    assert "overseas_routes" in shell("consents", "list", EMAIL).out
    assert shell("consents", "withdraw", EMAIL, "--item", "terms").code == 2
    assert shell("consents", "give", EMAIL, "--item", "nonsense").code == 2
