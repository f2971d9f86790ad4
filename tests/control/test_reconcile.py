"""A bill against the records: by day and model, with dated names, narrowed by the period."""

from __future__ import annotations

from relayd.control import reconcile, usage
from relayd.core.bill import Bill, BillLine
from relayd.store.db import Database
from relayd.store.record import CallFilter
from tests.fakes.records import START_MS, call_record

DAY = 86_400_000


def bill(*lines: BillLine) -> Bill:
    return Bill("openai-csv", "openai", lines)


async def test_what_agrees_and_what_does_not(db: Database) -> None:
    await usage.post(db, [call_record(), call_record(), call_record(provider_model="other")])
    found = await reconcile.compare(db, bill(
        BillLine(START_MS, "gpt-4o-mini-2024-07-18", 2, 200, 80, 100, 0),
        BillLine(START_MS, "never-asked", 1, 5, 5, 0, 0)), CallFilter())
    by_model = {each.model: each for each in found}
    assert set(by_model) == {"gpt-4o-mini", "never-asked", "other"}
    assert by_model["gpt-4o-mini"].differing() == ("output_tokens",)
    assert by_model["gpt-4o-mini"].recorded["output_tokens"] == 40
    assert by_model["never-asked"].differing() == ("calls", "input_tokens", "output_tokens")
    assert by_model["other"].differing() == (
        "calls", "input_tokens", "output_tokens", "cache_read_input_tokens")
    assert "cache_creation_input_tokens" not in by_model["other"].billed


async def test_the_period_narrows_both_sides(db: Database) -> None:
    await usage.post(db, [call_record(), call_record(started_at_ms=START_MS + DAY)])
    lines = [BillLine(START_MS + n * DAY, "gpt-4o-mini", 1, 100, 20, 50, 0) for n in range(3)]
    wanted = CallFilter(since_ms=START_MS + DAY, until_ms=START_MS + 2 * DAY)
    found = await reconcile.compare(db, bill(*lines), wanted)
    assert [(each.day_ms, each.differing()) for each in found] == [(START_MS + DAY, ())]
    assert await reconcile.compare(db, bill(), wanted) == []


async def test_days_that_are_not_billed_yet_are_not_looked_at(db: Database) -> None:
    await usage.post(db, [call_record(started_at_ms=START_MS + n * DAY) for n in range(-1, 2)])
    found = await reconcile.compare(
        db, bill(BillLine(START_MS, "gpt-4o-mini", 1, 100, 20, 50, 0)), CallFilter())
    assert [(each.day_ms, each.differing()) for each in found] == [(START_MS, ())]


async def test_a_model_is_itself_before_it_is_another_with_a_date(db: Database) -> None:
    dated = "gpt-4o-mini-2024-07-18"
    await usage.post(db, [call_record(provider_model="gpt-4o-mini"),
                          call_record(provider_model=dated), call_record(provider_model=dated)])
    found = await reconcile.compare(db, bill(
        BillLine(START_MS, "gpt-4o-mini", 1, 100, 20, 50, 0),
        BillLine(START_MS, dated, 2, 200, 40, 100, 0)), CallFilter())
    assert [(each.model, each.differing()) for each in found] == [
        ("gpt-4o-mini", ()), (dated, ())]


async def test_where_a_line_does_not_say_its_calls_none_are_compared(db: Database) -> None:
    await usage.post(db, [call_record(), call_record(provider_model="other")])
    found = await reconcile.compare(db, bill(
        BillLine(START_MS, "gpt-4o-mini", 9, 100, 20, 50, 0),
        BillLine(START_MS, "other", None, 100, 20, 50, 0)), CallFilter())
    assert [(each.model, each.differing()) for each in found] == [
        ("gpt-4o-mini", ()), ("other", ())]


async def test_tolerance(db: Database) -> None:
    await usage.post(db, [call_record(input_tokens=1000)])
    lines = bill(BillLine(START_MS, "gpt-4o-mini", None, 1010, 20, 50, 0))
    [found] = await reconcile.compare(db, lines, CallFilter())
    assert found.differing() == () and found.differing(0.0) == ("input_tokens",)
    assert "calls" not in found.billed


async def test_drift(db: Database) -> None:
    await usage.post(db, [call_record(counted_output_tokens=13, audio_input_tokens=0,
                                      audio_output_tokens=0)])
    [found] = await reconcile.drift(db, CallFilter(), lambda model: model.startswith("gpt"))
    assert found.exact and (found.reported_output, found.counted_output) == (13, 13)
    assert reconcile.drift_view(found)["output_ratio"] == 1.0
