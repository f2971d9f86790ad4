"""A series agrees with the rollups, and shows one account's use alone."""

from __future__ import annotations

from relayd.control import account, key, series, usage
from relayd.core.series import lines, period
from relayd.core.timestamp import HOUR_MS
from relayd.store.db import Database
from relayd.store.record import CallFilter
from tests.fakes.records import START_MS, call_record

NOW_MS = START_MS + 90 * HOUR_MS


async def test_points_agree_with_the_totals(db: Database) -> None:
    await usage.post(db, [
        call_record(started_at_ms=START_MS + n * HOUR_MS, model="ab"[n % 2],
                    account=f"acct_{n % 3}", amount_nano=n) for n in range(60)])
    wanted = period("7d", NOW_MS)
    found = await series.points(db, "acct_1", wanted, "model")
    totals = await usage.totals(db, CallFilter("acct_1", wanted.since_ms, wanted.until_ms))
    assert {(line.name, line.sums) for line in lines(found)} == {
        (total.model, total.sums) for total in totals}
    [line] = lines(await series.points(db, "acct_1", wanted))
    assert line.name == "" and line.sums.calls == 20
    assert await series.points(db, "acct_9", wanted) == []


async def test_what_lies_outside_of_the_period_is_not_in_it(db: Database) -> None:
    wanted = period("24h", NOW_MS)
    await usage.post(db, [call_record(started_at_ms=at_ms) for at_ms in (
        wanted.since_ms - 1, wanted.since_ms, wanted.until_ms - 1, wanted.until_ms)])
    found = await series.points(db, "acct_1", wanted)
    assert [point.at_ms for point in found] == [wanted.since_ms, wanted.until_ms - HOUR_MS]


async def test_applications_are_the_labels_of_keys(db: Database) -> None:
    owner = await account.create(db, "a@example.com", None, START_MS)
    keys = [await key.create(db, owner.id, key.KeyWish("k", app), START_MS)
            for app in ("shop", "shop", None)]
    await usage.post(db, [call_record(account=owner.id, key=issued.key.id) for issued in keys])
    found = lines(await series.points(db, owner.id, period("7d", NOW_MS), "app"))
    assert [(line.name, line.sums.calls) for line in found] == [("shop", 2), ("", 1)]


async def test_I2e_calls_of_keys_without_a_label_are_by_what_they_said(db: Database) -> None:
    owner = await account.create(db, "a@example.com", None, START_MS)
    own, bare = [(await key.create(db, owner.id, key.KeyWish("k", app), START_MS)).key.id
                 for app in ("shop", None)]
    said = [(own, "shop"), (bare, "chat"), (bare, "chat"), (bare, "bot"), (bare, None)]
    batch = [call_record(account=owner.id, key=each, app=app, amount_nano=n + 1)
             for n, (each, app) in enumerate(said)]
    for _ in range(2):  # the second time none of them is new
        await usage.post(db, batch)
    wanted = period("7d", NOW_MS)
    found = lines(await series.points(db, owner.id, wanted, "app"))
    assert {(line.name, line.sums.calls, line.sums.amount_nano) for line in found} == {
        ("shop", 1, 1), ("chat", 2, 5), ("bot", 1, 4), ("", 1, 5)}
    [whole] = lines(await series.points(db, owner.id, wanted))
    assert whole.sums.amount_nano == sum(line.sums.amount_nano for line in found)
    # a label that the key gets stands, for what was before too
    await key.change(db, bare, key.KeyWish("k", "late"), START_MS)
    found = lines(await series.points(db, owner.id, wanted, "app"))
    assert {(line.name, line.sums.calls) for line in found} == {("late", 4), ("shop", 1)}
