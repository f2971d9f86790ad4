"""Rollups as rows: totals are those of the records, wherever the period begins and ends."""

from __future__ import annotations

import random
from collections import defaultdict
from pathlib import Path

import msgspec
import pytest

from relayd.core.account import Account
from relayd.core.columns import in_parts
from relayd.core.record import CallRecord
from relayd.core.rollup import SUM_FIELDS, Sums, rollups
from relayd.core.timestamp import HOUR_MS
from relayd.store import account, rollup
from relayd.store import record as store_record
from relayd.store.db import Database, open_database
from relayd.store.record import CallFilter
from relayd.store.rollup import Total
from tests.fakes.records import START_MS, call_record


def expected(records: list[CallRecord], wanted: CallFilter) -> list[Total]:
    sums: dict[tuple[str, str | None, str], list[int]] = defaultdict(lambda: [0] * 9)
    for record in records:
        if wanted.account in (None, record.account) and wanted.since_ms <= record.started_at_ms:
            if wanted.until_ms is None or record.started_at_ms < wanted.until_ms:
                mine = sums[record.account, record.model, record.currency]
                for index, name in enumerate(SUM_FIELDS, 1):
                    mine[index] += getattr(record, name)
                mine[0] += 1
    ordered = sorted(sums.items(), key=lambda item: [part or "" for part in item[0]])
    return [Total(*key, Sums(*value)) for key, value in ordered]


async def post(db: Database, records: list[CallRecord]) -> None:
    async with db.writing() as transaction:
        await store_record.insert(transaction, in_parts(records))
        await rollup.add(transaction, rollups(in_parts(records)))


async def test_I2b_totals_are_those_of_the_records(tmp_path: Path) -> None:
    dice = random.Random(7)
    records = [
        call_record(started_at_ms=START_MS + dice.randrange(4 * HOUR_MS),
                    account=dice.choice("ab"), model=dice.choice(["m", "n", None]),
                    currency=dice.choice(["USD", "EUR"]), amount_nano=dice.randrange(1000))
        for _ in range(500)
    ]
    db = await open_database(tmp_path / "store")
    await post(db, records[:250])
    await post(db, records[250:])
    moments = [0, START_MS, START_MS + 1, START_MS + HOUR_MS - 1, START_MS + HOUR_MS,
               START_MS + HOUR_MS + 77, START_MS + 3 * HOUR_MS, START_MS + 9 * HOUR_MS]
    async with db.reading() as transaction:
        for since_ms in moments:
            for until_ms in [*(m for m in moments if m >= since_ms), None]:
                wanted = CallFilter(dice.choice([None, "a"]), since_ms, until_ms)
                assert await rollup.totals(transaction, wanted) == expected(records, wanted)
    await db.close()


async def test_whole_hours_come_from_the_rollups_alone(db: Database) -> None:
    """So that totals over a year do not read a year of records."""
    await post(db, [call_record()])
    async with db.writing() as transaction:
        await transaction.run("DELETE FROM call_records")
        found = await rollup.totals(transaction, CallFilter(since_ms=START_MS))
    assert [total.sums.calls for total in found] == [1]


async def test_an_accounts_calls_are_narrowed_to_its_hours(db: Database) -> None:
    hours = [START_MS + n * HOUR_MS for n in range(4)]
    await post(db, [call_record(started_at_ms=hours[n] + 5, account=who, model=model)
                    for n, who, model in [(0, "a", "m"), (0, "a", "n"), (1, "b", "m"),
                                          (2, "a", "m"), (3, "a", "m")]])
    async with db.reading() as transaction:
        for wanted, expected in [
            (CallFilter(), [CallFilter()]),
            (CallFilter("nobody"), []),
            (CallFilter("b"), [CallFilter("b", hours[1], hours[2])]),
            (CallFilter("a", hours[0] + 7, hours[2] + 9),
             [CallFilter("a", hours[0] + 7, hours[1]), CallFilter("a", hours[2], hours[2] + 9)]),
            (CallFilter("a", hours[3], hours[3] + 1), [CallFilter("a", hours[3], hours[3] + 1)]),
            (CallFilter("a", hours[3] + 9), [CallFilter("a", hours[3] + 9, hours[3] + HOUR_MS)]),
        ]:
            assert await rollup.narrowed(transaction, wanted) == expected


@pytest.mark.parametrize("tamper, stored, computed", [
    ("UPDATE rollups SET input_tokens = input_tokens + 1", 101, 100),
    ("DELETE FROM rollups", None, 100),
    ("DELETE FROM call_records", 100, None),
    ("UPDATE call_records SET input_tokens = 7", 100, 7),
])
async def test_differences_are_found(
    db: Database, tamper: str, stored: int | None, computed: int | None
) -> None:
    await post(db, [call_record()])
    async with db.writing() as transaction:
        assert await rollup.differences(transaction) == []
        await transaction.run(tamper)
        [found] = await rollup.differences(transaction)
    assert (found.stored and found.stored.input_tokens) == stored
    assert (found.computed and found.computed.input_tokens) == computed
    assert found.key.hour_ms == START_MS and found.key.account == "acct_1"


async def test_an_account_s_hours_come_some_at_a_time(db: Database) -> None:
    records = [call_record(started_at_ms=START_MS + n * HOUR_MS, account=who, model=model)
               for n in range(5) for who in ("a", "b") for model in ("m", "n")
               if (n, who) not in ((1, "a"), (2, "b"))]
    await post(db, records)
    wanted = sorted(key for key in rollups(in_parts(records)) if key.account == "a")
    async with db.reading() as transaction:
        for after in range(-1, 5):
            later = [key for key in wanted if key.hour_ms > START_MS + after * HOUR_MS]
            for most in (1, 2, 9):
                hours = sorted({key.hour_ms for key in later})[:most]
                found = await rollup.hours(
                    transaction, "a", START_MS + after * HOUR_MS, most)
                assert sorted(key for key, _ in found) == [
                    key for key in later if key.hour_ms in hours]
                assert [key.hour_ms for key, _ in found] == sorted(
                    key.hour_ms for key, _ in found)
        assert await rollup.hours(transaction, "c", 0, 9) == []


async def test_sums_of_who_is_erased_become_nobody_s_and_no_other_s(db: Database) -> None:
    records = [call_record(started_at_ms=START_MS + n * HOUR_MS, account=who,
                           key=f"key_{n}_{who}", amount_nano=n + 1)
               for n in (0, 0, 1, 2) for who in ("gone", "gone2", "stays")]
    await post(db, records)
    until_ms = START_MS + 2 * HOUR_MS
    async with db.writing() as transaction:
        for name, state in (("gone", "erased"), ("gone2", "erased"), ("stays", "active")):
            email = None if state == "erased" else "a@example.org"
            await account.insert(
                transaction, Account(name, email, None, state, 0))  # type: ignore[arg-type]
        before = await rollup.totals(transaction, CallFilter())
        assert await rollup.anonymise(transaction, until_ms, 3) == 3
        assert await rollup.anonymise(transaction, until_ms, 9) == 1
        assert await rollup.anonymise(transaction, until_ms, 9) == 0
    mine = [replace_record(record) if record.account != "stays"
            and record.started_at_ms < until_ms else record for record in records]
    async with db.reading() as transaction:
        rows = await transaction.rows(
            "SELECT hour_ms, account_id, key_id, calls, amount_nano FROM rollups")
        assert sorted(rows) == sorted(
            (key.hour_ms, key.account, key.key, sums.calls, sums.amount_nano)
            for key, sums in rollups(in_parts(mine)).items())
        after = await rollup.totals(transaction, CallFilter())
    assert sum(each.sums.amount_nano for each in before) == sum(
        each.sums.amount_nano for each in after)


def replace_record(record: CallRecord) -> CallRecord:
    return msgspec.structs.replace(record, account=rollup.NOBODY, key=rollup.NOBODY)
