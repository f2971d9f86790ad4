"""The commands that show the outbox, where no mail server is configured."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from relayd.control import account, mail
from relayd.ops.clock import unix_ms
from relayd.store.db import open_database
from tests.fakes.shell import Shell, shell

__all__ = ["shell"]


@pytest.fixture
def posted(shell: Shell) -> str:
    async def work() -> str:
        db = await open_database(shell.store)
        made = await account.create(db, "ann@example.org", None, unix_ms())
        async with db.writing() as transaction:
            found = await mail.post(transaction, "verify_email", made.id, {
                "link": "https://relay.example/verify?t=quokka", "minutes": "30"}, unix_ms())
        await db.close()
        return found

    return asyncio.run(work())


def test_what_waits_is_listed_and_shown(shell: Shell, posted: str) -> None:
    [row] = shell.json("mail", "list")
    assert (row["id"], row["kind"], row["state"]) == (posted, "verify_email", "queued")
    listed = shell("mail", "list").out
    assert posted in listed and "quokka" not in listed and "ann@" not in listed
    shown = shell("mail", "show", posted).out
    assert shown.startswith("To: ann@example.org\nSubject: Verify your e-mail address\n")
    assert "https://relay.example/verify?t=quokka" in shown
    document: dict[str, Any] = shell.json("mail", "show", posted)
    assert document["to"] == "ann@example.org" and document["fields"]["minutes"] == "30"
    assert shell.json("mail", "list", "--all") == [row]
    with closing(sqlite3.connect(shell.store / "relayd.db")) as db, db:
        db.execute("UPDATE outbox SET state = 'sent', recipient = NULL, fields = NULL,"
                   " ended_at_ms = 1")
    assert shell.json("mail", "list") == []
    assert [each["state"] for each in shell.json("mail", "list", "--all")] == ["sent"]


def test_it_is_tried_again(shell: Shell, posted: str) -> None:
    assert shell.json("mail", "retry", posted)["state"] == "queued"
    assert "as soon as" in shell("mail", "retry", posted).out

    async def send() -> None:
        db = await open_database(shell.store)
        assert len(await mail.due(db, unix_ms(), 10)) == 1
        await db.close()

    asyncio.run(send())
    assert "is being sent" in shell("mail", "retry", posted).out
    missing = shell("mail", "retry", "mail_x")
    assert missing.code == 2 and "no such mail" in missing.err
