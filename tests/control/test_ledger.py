"""The ledger's check finds what was tampered with, and shows what differs."""

from __future__ import annotations

import pytest

from relayd.control import account, key, ledger, retention, usage
from relayd.core.retention import Terms
from relayd.core.timestamp import DAY_MS
from relayd.store import attribution
from relayd.store.db import Database
from relayd.store.directory import StoreError
from tests.fakes.records import START_MS, call_record


async def test_a_tampered_total_is_shown(db: Database) -> None:
    await usage.post(db, [call_record(), call_record()])
    assert await ledger.verify(db) == []
    async with db.writing() as transaction:
        await transaction.run("UPDATE rollups SET calls = 3, amount_nano = 9")
    [found] = await ledger.verify(db)
    assert ledger.what(found) == ("gpt-4o-mini", None)
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


async def labelled(db: Database) -> tuple[str, str]:
    """(account, key): a key without a label, and calls of it that named an application."""
    owner = (await account.create(db, "a@example.com", None, START_MS)).id
    ref = (await key.create(db, owner, key.KeyWish("k"), START_MS)).key.id
    await usage.post(db, [call_record(account=owner, key=ref, app=app) for app in (
        "chat", "chat", "other", None)])
    return owner, ref


async def test_a_total_of_an_application_is_held_against_its_records(db: Database) -> None:
    owner, ref = await labelled(db)
    own = (await key.create(db, owner, key.KeyWish("k", "own"), START_MS)).key.id
    await usage.post(db, [call_record(account=owner, key=own, app="own")])
    assert await ledger.verify(db) == []
    async with db.writing() as transaction:
        await transaction.run("UPDATE app_rollups SET input_tokens = 1 WHERE app = 'chat'")
        await transaction.run("DELETE FROM app_rollups WHERE app = 'other'")
    chat, other = await ledger.verify(db)
    assert ledger.view(chat) == {
        "hour": "2026-01-01T00:00:00.000Z", "account": owner, "key": ref, "application": "chat",
        "currency": "USD", "differs": {"input_tokens": [1, 2 * call_record().input_tokens]}}
    assert ledger.what(other) == (None, "other") and ("calls", 0, 1) in ledger.changed(other)
    async with db.writing() as transaction:
        await transaction.run("UPDATE app_rollups SET key_id = ?", (own,))
    assert len(await ledger.verify(db)) == 3


async def test_a_key_whose_label_changed_has_no_more_than_its_records(db: Database) -> None:
    owner, ref = await labelled(db)
    for label in ("own", None):
        await key.change(db, ref, key.KeyWish("k", label), START_MS)
        await usage.post(db, [call_record(account=owner, key=ref, app="other")])
        assert await ledger.verify(db) == []
    async with db.writing() as transaction:
        await transaction.run("UPDATE app_rollups SET calls = 9 WHERE app = 'chat'")
    [found_wrong] = await ledger.verify(db)
    assert ("calls", 9, 2) in ledger.changed(found_wrong)


async def test_hours_whose_records_go_are_held_against_nothing_at_any_moment(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await labelled(db)

    async def dies(*_: object) -> int:
        raise StoreError("store_failed")

    monkeypatch.setattr(attribution, "delete_before", dies)
    now_ms = START_MS + 400 * DAY_MS
    with pytest.raises(StoreError):
        await retention.SWEEPERS["call_records"](db, Terms(), now_ms, 2)
    assert await ledger.verify(db) == []
    monkeypatch.undo()
    while await retention.SWEEPERS["call_records"](db, Terms(), now_ms, 2) == 2:
        assert await ledger.verify(db) == []
    assert await ledger.verify(db) == []


async def test_years_are_checked_part_by_part(db: Database) -> None:
    assert await ledger.verify(db) == []
    moments = [START_MS, START_MS + ledger.PART_MS - 1, START_MS + ledger.PART_MS,
               START_MS + 5 * ledger.PART_MS]
    await usage.post(db, [call_record(started_at_ms=moment) for moment in moments])
    assert await ledger.verify(db) == []
    async with db.writing() as transaction:
        await transaction.run("UPDATE rollups SET calls = 7")
    assert [found.key.hour_ms for found in await ledger.verify(db)] == [
        moment - moment % 3_600_000 for moment in moments]


@pytest.mark.parametrize("hour_ms", [0, START_MS + 9 * ledger.PART_MS])
async def test_sums_of_hours_without_any_call_are_found(db: Database, hour_ms: int) -> None:
    _, ref = await labelled(db)
    async with db.writing() as transaction:
        await transaction.run(
            "UPDATE app_rollups SET hour_ms = ? WHERE app = 'other'", (hour_ms,))
    wrong, missing = sorted(await ledger.verify(db), key=lambda each: each.key.hour_ms != hour_ms)
    assert wrong.key.hour_ms == hour_ms and wrong.computed is None and missing.stored is None
