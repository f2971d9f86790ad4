"""The commands of the audit log."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing

import pytest

from relayd.control import checkpoint
from relayd.core import merkle
from relayd.store.db import Database, open_database
from relayd.store.signing import open_signer, valid
from tests.fakes.records import START_MS
from tests.fakes.shell import Shell, shell

__all__ = ["shell"]
EMAIL = "ann@example.org"


def in_store(shell: Shell, work: Callable[[Database], Awaitable[object]]) -> None:
    async def run() -> None:
        db = await open_database(shell.store)
        await work(db)
        await db.close()

    asyncio.run(run())


@pytest.fixture
def used(shell: Shell) -> str:
    """The id of an account; two events are signed, one is not."""
    made = shell.json("accounts", "create", "--email", EMAIL)
    shell.json("accounts", "suspend", EMAIL)
    in_store(shell, lambda db: checkpoint.sign(db, open_signer(db.directory), START_MS))
    shell.json("accounts", "resume", EMAIL)
    return str(made["id"])


def test_what_the_shell_does_is_listed(shell: Shell, used: str) -> None:
    listed = shell.json("audit", "list", "--account", EMAIL)
    assert [(event["action"], event["via"]) for event in listed] == [
        ("account.create", "shell"), ("account.suspend", "shell"), ("account.resume", "shell")]
    assert {event["target"] for event in listed} == {used}
    result = shell("audit", "list", "--since", "1h")
    assert result.code == 0 and result.out.count(used) == 3 and EMAIL not in result.out
    assert shell("audit", "list", "--since", "never").code == 2


def test_a_sound_log(shell: Shell, used: str) -> None:
    shown = shell.json("audit", "verify")
    assert (shown["sound"], shown["events"], shown["checkpoints"], shown["events_unsigned"]) == (
        True, 4, 1, 1)
    result = shell("audit", "verify", "--seen", f"{shown['last_event']}:{shown['hash']}")
    assert result.code == 0 and result.out.startswith("Sound: 4 events")


def test_a_bent_log_is_exit_code_1(shell: Shell, used: str) -> None:
    with closing(sqlite3.connect(shell.store / "relayd.db")) as connection:
        connection.execute("DROP TRIGGER audit_log_stays")
        connection.execute("UPDATE audit_log SET action = 'account.resume' WHERE seq = 2")
        connection.commit()
    result = shell("audit", "verify")
    assert (result.code, result.out) == (1, "BROKEN: Event 2 is not what its hash says.\n")
    assert '"number": 2' in shell("audit", "verify", "--json").out


def test_a_bent_checkpoint_is_told_from_an_event(shell: Shell, used: str) -> None:
    with closing(sqlite3.connect(shell.store / "relayd.db")) as connection:
        connection.execute("DROP TRIGGER audit_checkpoints_stay")
        connection.execute("UPDATE audit_checkpoints SET at_ms = at_ms + 1")
        connection.commit()
    result = shell("audit", "verify")
    assert result.code == 1 and result.out.startswith("BROKEN: Checkpoint ")
    broken = json.loads(shell("audit", "verify", "--json").out)["broken"]
    assert broken["kind"] == "checkpoint" and f" {broken['number']} " in result.out


def test_a_proof_stands_by_itself(shell: Shell, used: str) -> None:
    public = bytes.fromhex(shell.json("audit", "key")["public_key"])
    result = shell("audit", "prove", "2")
    assert result.code == 0
    proof = json.loads(result.out)
    assert shell.json("audit", "prove", "2") == proof
    root = merkle.root_of(bytes.fromhex(proof["leaf"]), proof["index"], proof["count"],
                          [bytes.fromhex(step) for step in proof["path"]])
    assert root is not None and root.hex() == proof["checkpoint"]["root"]
    assert len(public) == 32 and not valid(public, b"", bytes(64))
    assert shell("audit", "key").out.strip() == public.hex()


@pytest.mark.parametrize("words", [
    ("audit", "verify", "--key", "x"), ("audit", "verify", "--seen", "5"),
    ("audit", "prove", "9"), ("audit", "prove", "4"), ("audit", "prove"),
])
def test_unusable_input_is_exit_code_2_with_words(
    shell: Shell, used: str, words: tuple[str, ...]
) -> None:
    result = shell(*words)
    assert result.code == 2 and result.err
