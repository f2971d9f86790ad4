"""What the records say of a provider's figures; SQL and core/drift.py judge alike."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relayd.control import usage
from relayd.core.drift import comparable_output
from relayd.store import reconcile
from relayd.store.db import Database
from relayd.store.record import CallFilter
from tests.fakes.records import START_MS, call_record

DAY = 86_400_000
SMALL = st.integers(0, 50)


async def test_only_calls_with_both_figures_count(db: Database) -> None:
    whole = {"counted_output_tokens": 18, "audio_input_tokens": 0, "audio_output_tokens": 0}
    await usage.post(db, [
        call_record(**whole), call_record(**whole, provider="b"),
        call_record(**{**whole, "counted_output_tokens": 9}, input_tokens=40, output_tokens=9,
                    counted_input_tokens=42),
        call_record(**{**whole, "counted_output_tokens": None}),
        call_record(**{**whole, "audio_output_tokens": 1}),
        call_record(**whole, usage_source="counted"), call_record(**whole, outcome="client_left"),
        call_record(**whole, started_at_ms=START_MS + DAY),
    ])
    async with db.reading() as transaction:
        rows = await reconcile.counted(transaction, CallFilter(until_ms=START_MS + DAY))
    assert rows == [("b", "gpt-4o-mini", 1, 100, 99, 20, 18),
                    ("openai", "gpt-4o-mini", 2, 140, 141, 29, 27)]


async def test_days_of_some_providers_or_of_an_api(db: Database) -> None:
    await usage.post(db, [
        call_record(), call_record(
            input_tokens=30, output_tokens=5, cache_read_input_tokens=7,
            cache_creation_input_tokens=2),
        call_record(started_at_ms=START_MS + DAY, provider="b"),
        call_record(attempts=0), call_record(api="anthropic", provider="c")])
    async with db.reading() as transaction:
        of_api = await reconcile.days(transaction, CallFilter(), "openai", ())
        of_b = await reconcile.days(transaction, CallFilter(), "openai", ("b",))
    assert [(day.day_ms - START_MS, *day[2:]) for day in of_api] == [
        (0, 2, 130, 25, 57, 5), (DAY, 1, 100, 20, 50, 3)]
    assert [day.day_ms for day in of_b] == [START_MS + DAY]


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture],
          deadline=None)
@given(SMALL, SMALL, SMALL)
async def test_sql_compares_as_the_core_does(
    db: Database, output: int, reasoning: int, counted: int
) -> None:
    record = call_record(output_tokens=output, reasoning_output_tokens=reasoning,
                         counted_output_tokens=counted, audio_input_tokens=0,
                         audio_output_tokens=0)
    await usage.post(db, [record])
    wanted = CallFilter(since_ms=record.started_at_ms, until_ms=record.started_at_ms + 1)
    async with db.reading() as transaction:
        [row] = await reconcile.counted(transaction, wanted)
    assert row.reported_output == comparable_output(output, reasoning, counted)
