"""Sums by application as rows: added up, kept as long as the calls, gone with the account."""

from __future__ import annotations

from relayd.control import account, audit, key, usage
from relayd.core.actor import Actor
from relayd.core.attribution import AppKey
from relayd.core.rollup import Sums
from relayd.core.series import HOUR_MS, Period
from relayd.store import attribution
from relayd.store.db import Database
from tests.fakes.records import START_MS, call_record

HOUR = START_MS - START_MS % HOUR_MS
ONE = Sums(1, *range(2, 10))


async def test_they_are_added_up_by_step(db: Database) -> None:
    owner = await account.create(db, "a@example.com", None, START_MS)
    bare = (await key.create(db, owner.id, key.KeyWish("k"), START_MS)).key.id
    own = (await key.create(db, owner.id, key.KeyWish("k", "own"), START_MS)).key.id
    async with db.writing() as transaction:
        assert await attribution.unlabelled(transaction, {bare, own, "key_x"}) == {bare}
        assert await attribution.unlabelled(transaction, ()) == frozenset()
        for hour, kid in ((HOUR, bare), (HOUR, bare), (HOUR + HOUR_MS, bare), (HOUR, own)):
            await attribution.add(transaction, {AppKey(hour, owner.id, kid, "chat", "USD"): ONE})
        await attribution.add(transaction, {})
    async with db.reading() as transaction:
        wanted = Period(HOUR, HOUR + 2 * HOUR_MS, HOUR_MS)
        found = await attribution.shares(transaction, owner.id, wanted)
        assert [(each.at_ms, each.key, each.app, each.sums.calls) for each in found] == [
            (HOUR, bare, "chat", 2), (HOUR + HOUR_MS, bare, "chat", 1)]
        assert found[0].sums == Sums(*(2 * value for value in ONE))
        assert await attribution.shares(transaction, "acct_9", wanted) == []


async def test_they_go_the_way_of_their_hours(db: Database) -> None:
    async with db.writing() as transaction:
        await attribution.add(transaction, {
            AppKey(HOUR + n * HOUR_MS, "acct_1", "key_1", "a", "USD"): ONE for n in range(5)})
        deleted = [await attribution.delete_before(transaction, HOUR + 3 * HOUR_MS, 2)
                   for _ in range(3)]
        left = await transaction.rows("SELECT COUNT(*) FROM app_rollups")
    assert (deleted, left[0][0]) == ([2, 1, 0], 2)


async def noted(db: Database, who: str) -> tuple[str, str]:
    """A key without a label and one with it, and calls of both that say what they are of."""
    bare, own = [(await key.create(db, who, key.KeyWish("k", app), START_MS)).key.id
                 for app in (None, "own")]
    await usage.post(db, [call_record(account=who, key=kid, app=app, started_at_ms=START_MS + n)
                          for n, (kid, app) in enumerate((
                              (bare, "chat"), (bare, "chat"), (bare, None), (own, "own")))])
    return bare, own


async def test_sums_that_are_not_their_records_are_found(db: Database) -> None:
    owner = await account.create(db, "a@example.com", None, START_MS)
    bare, own = await noted(db, owner.id)
    where = AppKey(HOUR, owner.id, bare, "chat", "USD")
    async with db.writing() as transaction:
        [stored] = await transaction.rows("SELECT key_id, app, calls FROM app_rollups")
        assert stored == (bare, "chat", 2)
        assert await attribution.differences(transaction) == []
        await transaction.run("UPDATE app_rollups SET calls = calls + 1")
        [found] = await attribution.differences(transaction)
        assert found.key == where and found.stored is not None and found.computed is not None
        assert (found.stored.calls, found.computed.calls) == (3, 2)
        assert await attribution.differences(transaction, HOUR + HOUR_MS) == []
        await transaction.run("DELETE FROM app_rollups")
        [found] = await attribution.differences(transaction)
        assert found.key == where and found.stored is None
        # a key that has a label has no sums by application
        await attribution.add(transaction, {
            AppKey(HOUR, owner.id, own, "own", "USD"): ONE})
        assert {each.key.key: each.computed is None
                for each in await attribution.differences(transaction)} == {
                    bare: False, own: True}


async def test_of_a_key_that_was_changed_less_may_be_stored_but_never_more(db: Database) -> None:
    owner = await account.create(db, "a@example.com", None, START_MS)
    bare, _ = await noted(db, owner.id)
    async with db.writing() as transaction:
        await audit.append(transaction, Actor(owner.id), "key.change", owner.id, START_MS,
                           details={"key": bare})
        for calls, wrong in ((1, 0), (2, 0), (3, 1)):
            await transaction.run("UPDATE app_rollups SET calls = ?", (calls,))
            assert len(await attribution.differences(transaction)) == wrong
        await transaction.run("DELETE FROM app_rollups")
        assert await attribution.differences(transaction) == []
