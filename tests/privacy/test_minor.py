"""A child's account: reported by anybody, frozen within a day, erased without days to think."""

from __future__ import annotations

from pathlib import Path

from relayd.control import account, erasure, key, publish, standing, ticket
from relayd.control.erasure import Means
from relayd.control.key import KeyWish
from relayd.control.standing import Grounds
from relayd.control.ticket import Writing
from relayd.core.actor import SHELL, Actor
from relayd.core.retention import Terms
from relayd.store.db import open_database
from relayd.store.signing import Signer
from tests.fakes.person import files_with
from tests.fakes.records import START_MS

HOUR_MS = 3_600_000
SUPPORT = Actor("acct_support", frozenset({"support"}))


def link(path: str, token: str) -> str:
    return f"https://console.example{path}?token={token}"


async def test_M3_from_the_report_to_the_erasure(tmp_path: Path) -> None:
    db = await open_database(tmp_path / "store")
    child = await account.create(db, "zeisig@example.org", "Zeisig", START_MS)
    await key.create(db, child.id, KeyWish("zeisig-tablet"), START_MS)
    # nobody needs an account to report it, and it is late after a day
    report = await ticket.open_ticket(db, Writing(
        "minor", "A child", "zeisig@example.org is nine", contact="aunt@example.org"), START_MS)
    assert (await ticket.overdue(db, START_MS + 25 * HOUR_MS))["minor"] == 1
    # frozen at once: the key works no more
    story = await ticket.look(db, SUPPORT, report.id, START_MS + HOUR_MS)
    assert "nine" in story.messages[0].body
    await standing.move(db, SUPPORT, child.id, "suspend", Grounds(
        "minor", "https://console.example", "ticket"), START_MS + HOUR_MS)
    assert all(grant.suspended for grant in (await publish.load(db)).keys.values())
    await ticket.answer(db, SUPPORT, report.id, "It is frozen", START_MS + HOUR_MS, link)
    assert (await ticket.overdue(db, START_MS + 25 * HOUR_MS))["minor"] == 0
    # erased without a cooling-off
    means = Means(Signer(bytes(32)), Terms(), link)
    signed = await erasure.at_once(
        db, means, SHELL, child.id, START_MS + 2 * HOUR_MS, "minor")
    assert signed is not None and signed.certificate.cause == "minor"
    assert (await account.find(db, child.id)).state == "erased"
    assert files_with(db.directory, "zeisig") == {}
    await db.close()
