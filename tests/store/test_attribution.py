"""Sums by application as rows: added up, kept as long as the calls, gone with the account."""

from __future__ import annotations

from relayd.control import account, key
from relayd.core.attribution import AppKey
from relayd.core.rollup import Sums
from relayd.core.series import HOUR_MS, Period
from relayd.store import attribution
from relayd.store.db import Database
from tests.fakes.records import START_MS

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
