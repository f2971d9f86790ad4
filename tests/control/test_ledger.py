"""The ledger's check finds what was tampered with, and shows what differs."""

from __future__ import annotations

from relayd.control import ledger, usage
from relayd.store.db import Database
from tests.fakes.records import call_record


async def test_a_tampered_total_is_shown(db: Database) -> None:
    await usage.post(db, [call_record(), call_record()])
    assert await ledger.verify(db) == []
    async with db.writing() as transaction:
        await transaction.run("UPDATE rollups SET calls = 3, amount_nano = 9")
    [found] = await ledger.verify(db)
    assert ledger.changed(found) == [("calls", 3, 2), ("amount_nano", 9, 0)]
    assert ledger.view(found) == {
        "hour": "2026-01-01T00:00:00.000Z", "account": "acct_1", "key": "key_1",
        "model": "gpt-4o-mini", "provider": "openai", "currency": "USD",
        "differs": {"calls": [3, 2], "amount_nano": [9, 0]},
    }


async def test_a_missing_total_counts_as_zero(db: Database) -> None:
    await usage.post(db, [call_record()])
    async with db.writing() as transaction:
        await transaction.run("DELETE FROM rollups")
    [found] = await ledger.verify(db)
    assert ("calls", 0, 1) in ledger.changed(found)
