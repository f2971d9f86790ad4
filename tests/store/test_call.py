"""Hours are those of the rollups; a call is found by its place and owner."""

from __future__ import annotations

from random import Random

from relayd.control import usage
from relayd.core.call import Brief, CallSearch, Place
from relayd.core.timestamp import HOUR_MS
from relayd.store import call
from relayd.store.db import Database
from tests.fakes.records import START_MS, call_record


async def test_hours_are_the_latest_that_may_hold_wanted_calls(db: Database) -> None:
    await usage.post(db, [
        call_record(started_at_ms=START_MS + n * HOUR_MS, model="ab"[n % 2]) for n in range(10)])
    search = CallSearch("acct_1", START_MS + HOUR_MS + 1, START_MS + 8 * HOUR_MS)
    async with db.reading() as transaction:
        all_hours = await call.hours(transaction, search, 100)
        of_b = await call.hours(
            transaction, CallSearch("acct_1", 0, START_MS + 8 * HOUR_MS, model="b"), 2)
        others = await call.hours(transaction, CallSearch("acct_2", 0, 1 << 50), 2)
    assert all_hours == [START_MS + n * HOUR_MS for n in range(7, 0, -1)]
    assert of_b == [START_MS + n * HOUR_MS for n in (7, 5)]
    assert others == []


async def test_an_hour_is_read_from_before_a_place(db: Database) -> None:
    records = [call_record(started_at_ms=START_MS + n // 2) for n in range(6)]
    await usage.post(db, records)
    search = CallSearch("acct_1", START_MS, START_MS + HOUR_MS)
    place = Place(records[4].started_at_ms, records[4].id)
    async with db.reading() as transaction:
        assert await call.latest(transaction, search, START_MS, place, 3) == records[3:0:-1]
        assert await call.briefs(transaction, search, START_MS, 1) == [Brief("completed", 12.345)]
        assert await call.one(transaction, "acct_1", place) == records[4]
        assert await call.one(transaction, "acct_2", place) is None
        assert await call.last_used(transaction, "acct_1") == {"key_1": START_MS}


async def test_what_is_found_is_what_reading_every_call_finds(db: Database) -> None:
    dice = Random(5)
    records = [call_record(
        account=dice.choice(("acct_1", "acct_2")), key=dice.choice(("key_1", "key_2")),
        model=dice.choice("ab"), outcome=dice.choice(("completed", "client_left")),
        started_at_ms=START_MS + dice.randrange(2 * HOUR_MS) // 60_000 * 60_000)
        for _ in range(200)]
    await usage.post(db, records)
    newest = sorted(records, key=lambda each: (each.started_at_ms, each.id), reverse=True)
    async with db.reading() as transaction:
        for _ in range(60):
            since_ms = START_MS + dice.randrange(-60_000, HOUR_MS)
            search = CallSearch(
                dice.choice(("acct_1", "acct_2", "acct_3")), since_ms,
                since_ms + dice.randrange(2 * HOUR_MS), key=dice.choice((None, "key_1")),
                model=dice.choice((None, "b")), outcome=dice.choice((None, "client_left")))
            hour_ms = START_MS + dice.randrange(2) * HOUR_MS
            wanted = [each for each in newest
                      if each.account == search.account
                      and search.since_ms <= each.started_at_ms < search.until_ms
                      and hour_ms <= each.started_at_ms < hour_ms + HOUR_MS
                      and search.key in (None, each.key) and search.model in (None, each.model)
                      and search.outcome in (None, each.outcome)]
            assert await call.latest(transaction, search, hour_ms, None, 7) == wanted[:7]
            assert len(await call.briefs(transaction, search, hour_ms, 999)) == len(wanted)
        for each in records[:20]:
            place = Place(each.started_at_ms, each.id)
            assert await call.one(transaction, each.account, place) == each
            assert await call.one(transaction, each.account, place._replace(id="other")) is None
        for account in ("acct_1", "acct_2", "acct_3"):
            last: dict[str, int] = {}
            for each in records:
                if each.account == account:
                    hour_ms = each.started_at_ms // HOUR_MS * HOUR_MS
                    last[each.key] = max(last.get(each.key, 0), hour_ms)
            assert await call.last_used(transaction, account) == last


async def test_an_hour_is_not_gone_through_anew_for_each_page(db: Database) -> None:
    """An hour of a busy relay has a million calls, most of them other people's."""
    records = [call_record(started_at_ms=START_MS + n // 4, account=f"acct_{n % 2}")
               for n in range(4000)]
    await usage.post(db, records)
    mine = [record for record in reversed(records) if record.account == "acct_1"]
    wanted = CallSearch("acct_1", START_MS, START_MS + HOUR_MS)
    for most in (1, 2, 3):  # two of them have the same start
        before = Place(mine[1989].started_at_ms, mine[1989].id)
        async with db.reading() as transaction:
            found = await call.latest(transaction, wanted, START_MS, before, most)
        assert found == mine[1990:1990 + most]
    steps = [0]

    def step() -> None:
        steps[-1] += 1

    async with db.reading() as transaction:
        connection = transaction._connection
        await connection.set_progress_handler(step, 100)  # type: ignore[arg-type]
        await call.latest(transaction, wanted, START_MS, before, 1)
        steps.append(0)
        await call.latest(transaction, wanted, START_MS, None, 1999)
        await connection.set_progress_handler(None, 0)  # type: ignore[arg-type]
    assert 20 * steps[0] < steps[1]
