"""The commands on findings."""

from __future__ import annotations

import asyncio

import pytest

from relayd.control import abuse
from relayd.control.abuse import Lookout
from relayd.core.abuse import AbuseRules
from relayd.ops.clock import unix_ms
from relayd.store.db import open_database
from tests.fakes.shell import Shell, shell

__all__ = ["shell"]
EMAIL = "ann@example.org"


@pytest.fixture
def found(shell: Shell) -> str:
    """The id of a finding."""
    shell.json("accounts", "create", "--email", EMAIL)

    async def look() -> str:
        db = await open_database(shell.store)
        lookout = Lookout(AbuseRules(), {}, lambda _: True, "https://console.example")
        [finding] = await abuse.look(db, lookout, unix_ms())
        await db.close()
        return finding.id

    return asyncio.run(look())


def test_listed_and_decided(shell: Shell, found: str) -> None:
    [listed] = shell.json("abuse", "list")
    assert (listed["id"], listed["rule"], listed["state"]) == (found, "disposable_mail", "open")
    told = shell("abuse", "list", "--account", EMAIL).out
    assert found in told and "yes" not in told  # it is reviewed, and not suspended
    decided = shell.json("abuse", "decide", found, "--lift", "--reason", "An alias")
    assert (decided["state"], decided["decided_by"]) == ("lifted", None)
    assert shell.json("abuse", "list") == []
    assert [each["state"] for each in shell.json("abuse", "list", "--all")] == ["lifted"]
    [event] = [each for each in shell.json("audit", "list") if each["action"] == "abuse.lift"]
    assert event["reason"] == "An alias"


def test_confirmed(shell: Shell, found: str) -> None:
    result = shell("abuse", "decide", found, "--reason", "Seen before")
    assert result.code == 0 and "is confirmed." in result.out


@pytest.mark.parametrize("words", [
    ("abuse", "decide", "find_x", "--reason", "a"), ("abuse", "decide", "find_x"),
    ("abuse", "list", "--account", "nobody@example.org")])
def test_unusable_input_is_exit_code_2_with_words(
    shell: Shell, words: tuple[str, ...]
) -> None:
    shell.json("accounts", "list")
    result = shell(*words)
    assert result.code == 2 and result.err
