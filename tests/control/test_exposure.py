"""An exposed key is flagged once, its owner is told, and the audit log has it."""

from __future__ import annotations

from relayd.control import account, exposure, key
from relayd.core.exposure import Exposure
from relayd.store.db import Database
from tests.fakes.records import START_MS

CONSOLE = "https://console.example"


async def test_D1_a_key_is_flagged_once_and_its_owner_is_told(db: Database) -> None:
    owner = await account.create(db, "ann@example.org", None, START_MS)
    made = (await key.create(db, owner.id, key.KeyWish("mine"), START_MS)).key
    seen = Exposure(made.id, owner.id, START_MS)
    assert await exposure.flag(db, [seen, Exposure("key_gone", owner.id, 1)], CONSOLE, 9) == 1
    assert await exposure.flag(db, [seen], CONSOLE, 10) == 0
    async with db.reading() as transaction:
        assert await transaction.rows("SELECT kind, account_id FROM outbox") == [
            ("key_exposed", owner.id)]
        assert await transaction.rows(
            "SELECT count(*) FROM audit_log WHERE action = 'key.expose'") == [(1,)]
    assert await exposure.usable(db, owner.id, START_MS) == [made.hint]
    await key.revoke(db, made.id, START_MS)
    assert await exposure.usable(db, owner.id, START_MS) == []


async def test_an_account_that_can_be_read_no_more_keeps_no_other_waiting(db: Database) -> None:
    seen = []
    for name in ("lost", "ann"):
        owner = await account.create(db, f"{name}@example.org", None, START_MS)
        made = (await key.create(db, owner.id, key.KeyWish("mine"), START_MS)).key
        seen.append(Exposure(made.id, owner.id, START_MS))
    await db.keyring.destroy(seen[0].account)
    assert await exposure.flag(db, seen, CONSOLE, 9) == 1
    async with db.reading() as transaction:
        assert await transaction.rows("SELECT account_id FROM outbox") == [(seen[1].account,)]
