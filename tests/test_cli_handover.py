"""The commands on a handover of the business."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from relayd.store.db import open_database
from tests.fakes.shell import Shell, shell

__all__ = ["shell"]
ANNOUNCE = ("handover", "announce", "--recipient", "Buyer Ltd", "--contact", "dpo@buyer.example",
            "--purpose-en", "to go on", "--purpose-zh", "继续服务")


def over(shell: Shell) -> None:
    """All mails are out, and the window is over; nobody's address can be read any more."""
    async def work() -> None:
        db = await open_database(shell.store)
        async with db.writing() as transaction:
            await transaction.run("UPDATE notices SET mailed_at_ms = 1")
            await transaction.run("UPDATE handovers SET announced_at_ms = 0, window_ends_ms = 1")
            await transaction.run(
                "UPDATE accounts SET created_at_ms = 0, email = zeroblob(60)")
        await db.close()

    asyncio.run(work())


def test_S5_announce_and_bundle(shell: Shell, tmp_path: Path) -> None:
    lost = shell.json("accounts", "create", "--email", "ann@example.org")
    made = shell.json(*ANNOUNCE)
    out = tmp_path / "bundle"
    phrase = tmp_path / "phrase"
    phrase.write_text("a long passphrase")
    bundle = ("handover", "bundle", made["id"], "--reason", "the sale",
              "--passphrase", str(phrase), "--out", str(out))
    assert shell(*bundle).code == 2 and not out.exists()
    shown = json.loads(shell("handover", "show", made["id"]).out)
    assert (shown["going"], shown["mails_waiting"]) == (1, 1)
    over(shell)
    assert shell(*bundle).out.splitlines() == [
        f"Of {lost['id']} these can be read no more: account.",
        f"{out} is written, for its recipient alone."]
    assert b"ann@example.org" not in out.read_bytes()
    [listed] = shell.json("handover", "list")
    assert (listed["state"], listed["accounts"]) == ("bundled", 1)
    assert shell(*bundle).code == 2
    assert list(tmp_path.glob(".bundle*")) == []


def test_call_it_off(shell: Shell) -> None:
    said = shell(*ANNOUNCE, "--window", "20d").out
    assert "is announced" in said
    [listed] = shell.json("handover", "list")
    assert "called off" in shell("handover", "cancel", listed["id"]).out
    assert "cancelled" in shell("handover", "list").out
    assert shell(*ANNOUNCE, "--window", "14d").code == 2
