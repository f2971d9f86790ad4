"""Call records as rows: once each, all columns, in order."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.columns import Columns, in_one, in_parts
from relayd.core.record import CallRecord
from relayd.store import record as store_record
from relayd.store.db import Database
from relayd.store.directory import StoreError
from relayd.store.record import CallFilter
from relayd.store.transaction import BATCH_ROWS, Transaction
from tests.fakes.records import START_MS, call_record


async def everything(db: Database, wanted: CallFilter = CallFilter()) -> list[CallRecord]:
    found: list[CallRecord] = []
    async with db.reading() as transaction:
        while page := await store_record.page(transaction, wanted, found[-1] if found else None):
            found += page
    return found


async def insert(transaction: Transaction, records: Sequence[CallRecord]) -> list[CallRecord]:
    return in_one(await store_record.insert(transaction, in_parts(records)))


def distinct_record() -> CallRecord:
    """Every field has a value of its own, so that no two columns can be swapped unseen."""
    integers = (name for name in CallRecord.__struct_fields__ if name.endswith("tokens"))
    return call_record(
        **{name: 1000 + index for index, name in enumerate(integers)}, attempts=3, status=207,
        amount_nano=2 ** 53, app="editor", error="upstream_reset", provider_model="sent",
        first_byte_ms=1.001, duration_ms=86_400_000.5, outcome="provider_truncated",
    )


async def test_every_column_comes_back(db: Database) -> None:
    bare = call_record(**{name: None for name in (
        "app", "model", "provider", "provider_model", "error", "counted_input_tokens",
        "counted_output_tokens", "first_byte_ms", "duration_ms")}, stream=False, status=0)
    records = [bare, distinct_record()]
    async with db.writing() as transaction:
        assert await insert(transaction, records) == records
    assert await everything(db) == records


async def test_posting_twice_changes_nothing(db: Database) -> None:
    first, second = call_record(), call_record()
    changed = msgspec.structs.replace(first, input_tokens=999)
    async with db.writing() as transaction:
        assert await insert(transaction, [first, changed, first]) == [first]
        assert await insert(transaction, [changed, second]) == [second]
        assert await insert(transaction, []) == []
    assert await everything(db) == [first, second]


@pytest.mark.parametrize("size", [1, 19, 20, 21, 100, 141, 1234])
@pytest.mark.parametrize("known", [[0], [-1], [0, -1], range(0, 1234, 2)])
async def test_known_ones_among_many_are_left_out(
    db: Database, size: int, known: Sequence[int]
) -> None:
    records = [call_record() for _ in range(size)]
    before = list({records[n].id: records[n] for n in known if n < size}.values())
    async with db.writing() as transaction:
        assert await insert(transaction, before) == before
        fresh = [record for record in records if record not in before]
        changed = [msgspec.structs.replace(record, amount_nano=77) for record in before]
        assert await insert(transaction, [*changed, *records]) == fresh
    assert await everything(db) == sorted(records, key=lambda record: record.started_at_ms)


@pytest.mark.parametrize("changes", [
    {"app": "editor"}, {"account": "acct_2", "key": "key_2"}, {"stream": False},
    {"api": "anthropic", "endpoint": "/v1/messages"}, {"model": None, "provider": None},
    {"provider_model": "sent"}, {"currency": "EUR"}, {"outcome": "refused", "status": 404},
    {"error": "upstream_reset"}, {"attempts": 2}, {"usage_source": "counted"},
    {"counted_input_tokens": None}, {"counted_output_tokens": 5},
])
async def test_one_that_differs_among_many_that_are_alike(
    db: Database, changes: dict[str, object]
) -> None:
    records = [call_record() for _ in range(300)]
    records[150] = msgspec.structs.replace(records[150], **changes)
    records[299] = msgspec.structs.replace(records[299], app="last", error="timeout")
    async with db.writing() as transaction:
        await insert(transaction, records)
    found = await everything(db)
    assert found == records
    # as JSON shows it, a 1 is not true
    assert {type(record.stream) for record in found} == {bool}


def test_what_is_shared_is_handed_over_once_and_statements_are_few() -> None:
    alike = [call_record() for _ in range(100)]
    ((sql, rows),) = store_record._statements(Columns(alike))
    assert rows and len(rows[0]) == 23 + 100 * 12 == sql.count("?") - 23 * 99
    alike[7] = call_record(error="timeout")
    ((sql, rows),) = store_record._statements(Columns(alike))
    assert rows and len(rows[0]) == 19 + 100 * 16
    kinds = 2 ** len(store_record._KINDS)
    sizes = len(store_record._ROWS_AT_ONCE)
    assert store_record._insert_sql.cache_parameters()["maxsize"] == sizes * kinds + 1
    several = store_record._statements(Columns([call_record() for _ in range(245)]))
    assert [(sql.count("(?"), len(rows or ())) for sql, rows in several] == [
        (100, 1), (100, 1), (20, 1), (20, 1), (1, 5)]


async def test_what_the_transaction_did_before_stays_when_some_are_known(db: Database) -> None:
    record = call_record()
    async with db.writing() as transaction:
        await transaction.run("INSERT INTO meta (name, value) VALUES ('before', '')")
        await insert(transaction, [record, record])
        assert await insert(transaction, [record]) == []
    async with db.reading() as transaction:
        assert await transaction.row("SELECT value FROM meta WHERE name = 'before'") == ("",)
    assert await everything(db) == [record]


async def test_pages_are_read_in_their_order_without_sorting(db: Database) -> None:
    """So that a page costs its own rows, wherever it lies; and no index is kept for it."""
    async with db.reading() as transaction:
        for wanted in (CallFilter(), CallFilter("acct_1", START_MS, START_MS + 9)):
            sql, values = wanted.conditions()
            plan = await transaction.rows(
                f"EXPLAIN QUERY PLAN SELECT * FROM call_records WHERE {sql}"
                " AND (started_at_ms, id) > (?, ?) ORDER BY started_at_ms, id",
                [*values, START_MS, "id"])
            assert [row[3].split(" USING ")[1].split(" (")[0] for row in plan] == ["PRIMARY KEY"]


async def test_pages_follow_each_other_without_gap_or_repeat(db: Database) -> None:
    records = [call_record(started_at_ms=START_MS + n // 7) for n in range(2 * BATCH_ROWS + 1)]
    async with db.writing() as transaction:
        await insert(transaction, records[::-1])
    assert await everything(db) == records


@pytest.mark.parametrize("wanted, expected", [
    (CallFilter(), "abcd"), (CallFilter(account="x"), "bd"), (CallFilter(account="nobody"), ""),
    (CallFilter(since_ms=START_MS + 1), "bcd"), (CallFilter(until_ms=START_MS + 1), "a"),
    (CallFilter("x", START_MS + 1, START_MS + 3), "b"),
])
async def test_filters(db: Database, wanted: CallFilter, expected: str) -> None:
    async with db.writing() as transaction:
        await insert(transaction, [
            call_record(started_at_ms=START_MS + n, model=name, account="yxyx"[n])
            for n, name in enumerate("abcd")])
    assert "".join(record.model or "" for record in await everything(db, wanted)) == expected


@pytest.mark.parametrize("change", [
    {"input_tokens": -1}, {"counted_input_tokens": -1}, {"amount_nano": 2 ** 53 + 1},
    {"status": 1000}, {"started_at_ms": -1}, {"output_tokens": 2 ** 63}, {"model": "\ud800"},
    {"duration_ms": -1.0},
])
async def test_nonsense_is_refused(db: Database, change: dict[str, object]) -> None:
    with pytest.raises(StoreError) as caught:
        async with db.writing() as transaction:
            await insert(transaction, [call_record(**change)])
    assert caught.value.code == "store_refused"


@given(st.none() | st.text(max_size=3), st.integers(0, 9), st.none() | st.integers(0, 9))
def test_conditions_have_a_value_for_each_mark(
    account: str | None, since_ms: int, until_ms: int | None
) -> None:
    sql, values = CallFilter(account, since_ms, until_ms).conditions()
    assert sql.count("?") == len(values)


async def test_a_late_page_costs_no_more_than_the_first(db: Database) -> None:
    records = [call_record() for _ in range(5 * BATCH_ROWS)]
    async with db.writing() as transaction:
        await insert(transaction, records)
    ticks = [0]

    def tick() -> int:
        ticks[0] += 1
        return 0

    costs = []
    async with db.reading() as transaction:
        await transaction._connection.set_progress_handler(tick, 100)
        for after in (None, records[4 * BATCH_ROWS - 1]):
            ticks[0] = 0
            found = await store_record.page(transaction, CallFilter(), after)
            assert len(found) == BATCH_ROWS and found[-1] in (records[BATCH_ROWS - 1], records[-1])
            costs.append(ticks[0])
        await transaction._connection.set_progress_handler(lambda: 0, 0)
    assert 0 < costs[1] < 1.5 * costs[0]


@pytest.mark.parametrize("most", [1, 2, 3, 4, 99])
async def test_the_oldest_go_first_and_what_is_not_old_stays(db: Database, most: int) -> None:
    times = [START_MS, START_MS, START_MS + 5, START_MS + 9, START_MS + 10, START_MS + 50]
    records = sorted((call_record(started_at_ms=at) for at in times),
                     key=lambda record: (record.started_at_ms, record.id))
    async with db.writing() as transaction:
        await insert(transaction, records)
        gone = min(most, 4)
        assert await store_record.delete_before(transaction, START_MS + 10, most) == gone
    assert await everything(db) == records[gone:]
    async with db.writing() as transaction:
        assert await store_record.delete_before(transaction, START_MS, most) == 0
