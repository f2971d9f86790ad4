"""The commands on tickets."""

from __future__ import annotations

import asyncio
import io

import pytest

from relayd.control.ticket import Writing, open_ticket
from relayd.core.timestamp import DAY_MS
from relayd.ops import clock
from relayd.store.db import open_database
from tests.fakes.shell import Shell, shell

__all__ = ["shell"]


def opened(shell: Shell, days_ago: int = 0) -> str:
    async def work() -> str:
        db = await open_database(shell.store)
        made = await open_ticket(db, Writing(
            "minor", "A child", "It is nine years old", contact="aunt@example.org"),
            clock.unix_ms() - days_ago * DAY_MS)
        await db.close()
        return made.id

    return asyncio.run(work())


def test_U5_the_queue_says_nothing_of_what_they_say(shell: Shell) -> None:
    ticket = opened(shell)
    [listed] = shell.json("tickets", "list")
    assert (listed["id"], listed["class"]) == (ticket, "minor") and "subject" not in listed
    assert "child" not in shell("tickets", "list").out


def test_what_nobody_answered_in_time_is_late(shell: Shell) -> None:
    late = {opened(shell): False, opened(shell, 60): True}
    rows = [line.split() for line in shell("tickets", "list").out.splitlines()[1:]]
    assert {row[0]: row[-1] == "late" for row in rows} == late
    for ticket in late:
        assert f"{ticket} is answered" in shell("tickets", "answer", ticket, "--text", "Yes").out
    assert "late" not in shell("tickets", "list").out


def test_read_answer_close(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = opened(shell)
    assert "nine years" in shell("tickets", "show", ticket).out
    assert shell("tickets", "answer", ticket, "--text", "We look into it").code == 0
    found = shell.json("tickets", "show", ticket)
    assert found["contact"] == "aunt@example.org"
    assert [each["author"] for each in found["messages"]] == ["holder", "operator"]
    assert "closed" in shell("tickets", "close", ticket).out
    assert shell.json("tickets", "list") == []
    assert [each["state"] for each in shell.json("tickets", "list", "--all")] == ["closed"]
    assert shell("tickets", "answer", ticket, "--text", "late").code == 2
    assert shell("tickets", "answer", ticket, "--text", " ").code == 2
    assert shell("tickets", "show", "tick_none").code == 2


def test_an_answer_on_stdin_is_utf_8(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = opened(shell)
    for raw, code in ((b"It is na\xefve", 2), ("It is naïve".encode(), 0)):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(raw), encoding="ascii"))
        assert shell("tickets", "answer", ticket).code == code
    assert shell.json("tickets", "show", ticket)["messages"][-1]["body"] == "It is naïve"
