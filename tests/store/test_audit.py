"""Audit events as rows: they are added, and nothing else happens to them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relayd.core.audit import START, AuditEvent, chained
from relayd.store import audit
from relayd.store.db import Database
from relayd.store.directory import StoreError

EVENT = AuditEvent(1, 5, "acct_1", "owner", "console", "account.suspend", "acct_2", b"sealed",
                   "{}")


async def fill(db: Database, count: int) -> list[tuple[AuditEvent, bytes]]:
    made, before = [], START
    async with db.writing() as transaction:
        for seq in range(1, count + 1):
            event = replace(EVENT, seq=seq, at_ms=seq * 10, target=f"acct_{seq % 2}")
            before = chained(before, event)
            made.append((event, before))
            await audit.insert(transaction, event, before)
    return made


async def test_rows_come_back_as_they_went(db: Database) -> None:
    async with db.reading() as transaction:
        assert await audit.head(transaction) == (0, START)
    made = await fill(db, 5)
    async with db.reading() as transaction:
        assert await audit.head(transaction) == (5, made[-1][1])
        assert [each async for each in audit.events(transaction)] == made
        assert [each async for each in audit.events(transaction, after_seq=3)] == made[3:]
        assert [each async for each in audit.events(transaction, since_ms=20)] == made[1:]
        assert [each async for each in audit.events(transaction, last_seq=2)] == made[:2]
        assert [each async for each in audit.events(transaction, target="acct_0")] == [
            made[1], made[3]]


@pytest.mark.parametrize("sql", [
    "UPDATE audit_log SET at_ms = at_ms + 1 WHERE seq = 2",
    "UPDATE audit_log SET reason = NULL",
    "DELETE FROM audit_log WHERE seq = 3",
    "DELETE FROM audit_log",
    "INSERT OR REPLACE INTO audit_log SELECT * FROM audit_log WHERE seq = 2",
    "INSERT INTO audit_log SELECT seq + 4, at_ms, actor, roles, via, action, target, reason,"
    " details, hash FROM audit_log WHERE seq = 1",
])
async def test_rows_neither_change_nor_go(db: Database, sql: str) -> None:
    made = await fill(db, 3)
    with pytest.raises(StoreError) as caught:
        async with db.writing() as transaction:
            await transaction.run(sql)
    assert caught.value.code == "store_refused"
    async with db.reading() as transaction:
        assert [each async for each in audit.events(transaction)] == made


async def test_the_latest_come_first_page_by_page(db: Database) -> None:
    made = await fill(db, 7)
    async with db.reading() as transaction:
        page = await audit.latest(transaction, None, None, 4)
        assert page == made[:2:-1]
        assert await audit.latest(transaction, page[-1][0].seq, None, 9) == made[2::-1]
        mine = await audit.latest(transaction, None, "acct_0", 2)
        assert [event.seq for event, _ in mine] == [6, 4]
