"""The commands of plans, codes and credit."""

from __future__ import annotations

import pytest

from tests.fakes.shell import Shell, shell

__all__ = ["shell"]
EMAIL = "ann@example.org"
PLANS = """
[plans.cheap]
markup = "0.5"
[plans.team]
period = "month"
fee = "20"
"""


@pytest.fixture
def planned(shell: Shell) -> Shell:
    shell.config.write_text(shell.config.read_text() + PLANS)
    shell.json("accounts", "create", "--email", EMAIL)
    return shell


def test_plans_are_listed_and_assigned(planned: Shell) -> None:
    assert [(plan["name"], plan["markup"], plan["fee"]) for plan in planned.json(
        "plans", "list")] == [("cheap", "0.50", "0.00"), ("team", "1.00", "20.00")]
    assert planned("plans", "list").out.splitlines()[0].split()[:2] == ["NAME", "VERSION"]
    assert planned("plans", "assign", EMAIL, "--plan", "cheap").code == 0
    assert planned("plans", "assign", EMAIL, "--plan", "team").code == 2
    assert planned("plans", "assign", EMAIL, "--plan", "default").code == 0


def test_credit_is_given(planned: Shell) -> None:
    given = planned.json("balance", "grant", EMAIL, "--amount", "5", "--reason", "an outage")
    assert given["left"] == "5.00"
    assert planned.json("balance", "show", EMAIL)[0]["balance"] == "5.00"
    assert planned("balance", "grant", EMAIL, "--amount", "0", "--reason", "x").code == 2


def test_codes_are_made_listed_and_ended(planned: Shell) -> None:
    made = planned.json("codes", "create", "--amount", "5", "--uses", "3", "--days", "30")
    assert made["code"].startswith("relayd-")
    [listed] = planned.json("codes", "list")
    assert listed["id"] == made["id"] and listed["uses_left"] == 3 and "code" not in listed
    assert planned("codes", "end", made["id"]).code == 0
    assert planned.json("codes", "list")[0]["uses_left"] == 0
    assert planned("codes", "end", "code_x").code == 2 and planned("codes", "end").code == 2
    assert made["id"] in planned("codes", "list").out
    code, said = planned("codes", "create", "--amount", "5", "--uses", "3").out.splitlines()
    assert code.startswith("relayd-") and "this once" in said and " " not in code
    nameless = planned("codes", "end")
    assert "Name the code" in nameless.err
